// The playground's console. It talks to its own server only, and builds the page without ever treating text as HTML.

import { isStream, remember, remembered, results, send } from "./client.js";

const $ = (id) => document.getElementById(id);
const [documentField, variablesField, headersField] = ["document", "variables", "headers"].map($);

function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

// ---- Headers: kept for this tab only, because they may hold a token.

headersField.value = sessionStorage.getItem("headers") ?? "";
headersField.addEventListener("input", () => sessionStorage.setItem("headers", headersField.value));

function readHeaders() {
  const out = {};
  for (const line of headersField.value.split("\n").map((l) => l.trim()).filter(Boolean)) {
    const at = line.indexOf(":");
    if (at > 0) out[line.slice(0, at).trim()] = line.slice(at + 1).trim();
    else if (/^(Bearer )?[\w-]+\.[\w-]+\.[\w-]+$/i.test(line)) out.Authorization = "Bearer " + line.replace(/^Bearer /i, "");
    else throw new Error(`This header line has no colon: ${line.slice(0, 12)}…`);
  }
  return out;
}

// speakAs writes who asks, unless the developer has written headers of their own.
function speakAs(person) {
  if (!document.body.dataset.tokens || !/^\s*(Authorization: Bearer \{\{\w+\}\}\s*)?$/.test(headersField.value)) return;
  headersField.value = person === "nobody" ? "" : `Authorization: Bearer {{${person}}}`;
  headersField.dispatchEvent(new Event("input"));
}

function showRemembered() {
  $("remembered").replaceChildren(...Object.entries(remembered).filter(([, v]) => typeof v === "string").flatMap(([name, id]) => [" ", el("code", { textContent: `{{${name}}}` }), " = ", el("code", { textContent: id })]));
}
showRemembered();

// ---- Operations of a document.

// operationsOf finds the names and kinds of the operations; strings and comments are skipped.
function operationsOf(text) {
  const bare = text.replace(/"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*/g, " ");
  const out = [];
  let depth = 0;
  let head = "";
  for (const c of bare) {
    if (c === "{" || c === "(" || c === "[") {
      if (c === "{" && depth === 0) {
        const match = /\b(query|mutation|subscription)\b\s*(\w*)/.exec(head);
        if (match) out.push({ kind: match[1], name: match[2] });
        else if (!/\bfragment\b/.test(head)) out.push({ kind: "query", name: "" });
        head = "";
      }
      depth++;
    } else if (c === "}" || c === ")" || c === "]") depth--;
    else if (depth === 0) head += c;
  }
  return out;
}

function showOperations() {
  const named = operationsOf(documentField.value).filter((o) => o.name);
  const select = $("operation");
  const before = select.value;
  select.replaceChildren(...named.map((o) => el("option", { value: o.name, textContent: `${o.kind} ${o.name}` })));
  if (named.some((o) => o.name === before)) select.value = before;
  $("picker").hidden = named.length < 2;
}
documentField.addEventListener("input", showOperations);

// ---- Examples.

let current = null;

function pick(example, button) {
  documentField.value = example.document;
  variablesField.value = example.variables;
  $("about").textContent = example.about;
  speakAs(example.as);
  current?.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  current = button;
  documentField.scrollTop = 0;
  showOperations();
}

async function showExamples() {
  const list = await (await fetch("/playground/examples.json")).json();
  const box = $("examples");
  let group = null;
  for (const example of list) {
    if (group?.name !== example.group) {
      group = { name: example.group, ul: el("ul") };
      box.append(el("h3", { textContent: example.group }), group.ul);
    }
    const button = el("button", { type: "button", textContent: example.title, title: example.about });
    button.addEventListener("click", () => pick(example, button));
    group.ul.append(el("li", {}, button));
    if (!current) pick(example, button);
  }
}
showExamples().catch((e) => { $("about").textContent = "The examples could not be loaded: " + e.message; });

// ---- Editing: Tab indents, unless Escape came before it.

for (const field of [documentField, variablesField]) {
  let leaving = false;
  field.addEventListener("keydown", (e) => {
    if (e.key === "Escape") leaving = true;
    else if (e.key === "Tab" && !leaving && !e.shiftKey && !e.ctrlKey && !e.altKey && !e.metaKey) {
      e.preventDefault();
      insert(field, "  ");
    } else if (e.key === "Enter" && !e.ctrlKey && !e.metaKey && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      const line = field.value.slice(0, field.selectionStart).split("\n").pop();
      insert(field, "\n" + /^\s*/.exec(line)[0] + (/[{([]\s*$/.test(line) ? "  " : ""));
    } else if (e.key !== "Shift") leaving = false;
  });
  field.addEventListener("blur", () => { leaving = false; });
}

function insert(field, text) {
  // execCommand keeps the undo history; where it is gone, the text arrives all the same.
  if (!document.execCommand?.("insertText", false, text)) {
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input"));
  }
}

// ---- Results.

function status(text, tone = "") {
  $("status").textContent = text;
  $("status").className = "status " + tone;
}

// colored turns JSON text into spans, by the lexical rules of JSON.
function colored(value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  const out = document.createDocumentFragment();
  let at = 0;
  for (const m of text.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) {
    out.append(text.slice(at, m.index));
    const kind = m[1] ? (m[2] ? "k" : "s") : /^[tfn]/.test(m[0]) ? "w" : "n";
    out.append(el("span", { className: kind, textContent: m[1] ?? m[0] }), m[2] ?? "");
    at = m.index + m[0].length;
  }
  out.append(text.slice(at));
  return out;
}

const problemsIn = (body) => Object.values(body?.data ?? {}).flatMap((v) => v?.problems ?? []).length;

function show(body) {
  $("result").replaceChildren(colored(body));
  remember(body?.data);
  showRemembered();
}

let running = null;

async function run() {
  if (running) return;
  let request;
  try {
    const variables = variablesField.value.trim();
    const named = operationsOf(documentField.value);
    const chosen = named.length > 1 ? named.find((o) => o.name === $("operation").value) : named[0];
    request = {
      kind: chosen?.kind ?? "query",
      headers: readHeaders(),
      body: { query: documentField.value, variables: variables ? JSON.parse(variables) : {}, operationName: chosen?.name || undefined },
    };
  } catch (e) {
    status("not sent", "bad");
    $("result").textContent = e instanceof SyntaxError ? "The variables are not JSON: " + e.message : e.message;
    return;
  }
  running = new AbortController();
  $("stop").hidden = request.kind !== "subscription"; // it may be long until the first event
  $("run").disabled = true;
  status("running…");
  const start = performance.now();
  try {
    const response = await send({ ...request, subscription: request.kind === "subscription", signal: running.signal });
    if (isStream(response)) {
      await follow(response);
      return;
    }
    const text = await response.text();
    const line = `${response.status} ${response.statusText} · ${Math.round(performance.now() - start)} ms · ${text.length.toLocaleString("en")} B`;
    let body;
    try {
      body = JSON.parse(text);
    } catch {
      status(line, "bad");
      $("result").textContent = text || "(empty response)";
      return;
    }
    const n = problemsIn(body);
    status(line + (n ? ` · ${n} ${n === 1 ? "problem" : "problems"}` : ""), response.ok && !body.errors && !n ? "good" : "bad");
    show(body);
  } catch (e) {
    if (e.name === "AbortError") status("stopped");
    else {
      status(e instanceof TypeError ? "no answer" : "not sent", "bad"); // fetch fails with a TypeError
      $("result").textContent = e.message;
    }
  } finally {
    running = null;
    $("run").disabled = false;
    $("stop").hidden = true;
  }
}

// follow shows the events of a subscription as they come (GraphQL over server-sent events), newest first.
async function follow(response) {
  $("result").replaceChildren();
  let n = 0;
  status("waiting for events", "good");
  for await (const body of results(response)) {
    $("result").prepend(el("div", {}, colored(body)));
    remember(body.data);
    showRemembered();
    status(`${++n} ${n === 1 ? "event" : "events"}`, body.errors ? "bad" : "good");
  }
  status(`ended after ${n} ${n === 1 ? "event" : "events"}`);
}

$("run").addEventListener("click", run);
$("stop").addEventListener("click", () => running?.abort());
document.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
    e.preventDefault();
    run();
  }
});

// ---- Schema explorer.

const reference = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
const argument = `name description defaultValue type { ${reference} }`;
const introspection = `query IntrospectionQuery { __schema { queryType { name } mutationType { name } subscriptionType { name } types {
  kind name description
  fields(includeDeprecated: true) { name description isDeprecated deprecationReason args { ${argument} } type { ${reference} } }
  inputFields { ${argument} } interfaces { name } possibleTypes { name }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } } } }`;

const schema = { types: null, roots: [], trail: [] };

async function loadSchema() {
  const box = $("explorer");
  box.textContent = "Loading…";
  try {
    const response = await send({ headers: readHeaders(), body: { query: introspection, operationName: "IntrospectionQuery" } });
    const body = await response.json();
    if (!body.data?.__schema) throw new Error(body.errors?.[0]?.message ?? "no schema in the answer");
    const s = body.data.__schema;
    schema.types = new Map(s.types.filter((t) => !t.name.startsWith("__")).map((t) => [t.name, t]));
    schema.roots = [s.queryType, s.mutationType, s.subscriptionType].filter(Boolean).map((t) => t.name);
    schema.trail = [];
    draw();
  } catch (e) {
    box.textContent = "The schema could not be loaded: " + e.message;
  }
}

function typeLink(name) {
  const button = el("button", { type: "button", textContent: name });
  button.addEventListener("click", () => { schema.trail.push(name); $("search").value = ""; draw(true); });
  return button;
}

function typeRef(t) {
  if (t.kind === "NON_NULL") return [...typeRef(t.ofType), "!"];
  if (t.kind === "LIST") return ["[", ...typeRef(t.ofType), "]"];
  return [schema.types.has(t.name) ? typeLink(t.name) : t.name];
}

function argRef(a) {
  return [`${a.name}: `, ...typeRef(a.type), a.defaultValue === null || a.defaultValue === undefined ? "" : ` = ${a.defaultValue}`];
}

function member(f, owner) {
  const sig = el("div", { className: "sig" });
  if (owner) sig.append(typeLink(owner), ".");
  sig.append(el("b", { textContent: f.name }));
  if (f.args?.length) {
    sig.append("(", ...f.args.flatMap((a, i) => [i ? ", " : "", ...argRef(a)]), ")");
  }
  if (f.type) sig.append(": ", ...typeRef(f.type), f.defaultValue ? ` = ${f.defaultValue}` : "");
  const described = (f.args ?? []).filter((a) => a.description);
  return el("li", {}, sig,
    f.isDeprecated ? el("div", { className: "old", textContent: "Deprecated. " + (f.deprecationReason ?? "") }) : null,
    f.description ? el("p", { textContent: f.description }) : null,
    ...described.map((a) => el("p", {}, el("code", { textContent: a.name }), " — " + a.description)));
}

const membersOf = (t) => t.fields ?? t.inputFields ?? t.enumValues ?? [];

function draw(focus) {
  if (!schema.types) return;
  const words = $("search").value.trim().toLowerCase();
  const box = $("explorer");
  box.scrollTop = 0;
  if (words) box.replaceChildren(...found(words));
  else if (schema.trail.length) box.replaceChildren(...typePage(schema.types.get(schema.trail.at(-1))));
  else box.replaceChildren(...overview());
  if (focus) box.querySelector(".back")?.focus();
}

function overview() {
  const others = [...schema.types.values()].filter((t) => !schema.roots.includes(t.name));
  const section = (title, types) => types.length ? [el("h4", { textContent: title }), el("ul", {}, ...types.map((t) => el("li", {}, el("div", { className: "sig" }, typeLink(t.name)), t.description ? el("p", { textContent: t.description }) : null)))] : [];
  const byKind = (...kinds) => others.filter((t) => kinds.includes(t.kind)).sort((a, b) => a.name.localeCompare(b.name));
  return [
    ...section("Start here", schema.roots.map((name) => schema.types.get(name))),
    ...section("Types", byKind("OBJECT")), ...section("Interfaces and unions", byKind("INTERFACE", "UNION")),
    ...section("Inputs", byKind("INPUT_OBJECT")), ...section("Enums", byKind("ENUM")), ...section("Scalars", byKind("SCALAR")),
  ];
}

function typePage(t) {
  const back = el("button", { type: "button", className: "back", textContent: "← " + (schema.trail.at(-2) ?? "All types") });
  back.addEventListener("click", () => { schema.trail.pop(); draw(true); });
  const linked = (title, list) => list?.length ? [el("h4", { textContent: title }), el("ul", {}, ...list.map((x) => el("li", {}, el("div", { className: "sig" }, typeLink(x.name)))))] : [];
  const titles = { ENUM: "Values", INPUT_OBJECT: "Members" };
  const members = membersOf(t);
  return [
    back, el("h3", { textContent: `${t.kind.toLowerCase().replace("_object", "")} ${t.name}`.replace(/^object /, "type ") }),
    t.description ? el("p", { textContent: t.description }) : "",
    ...(members.length ? [el("h4", { textContent: titles[t.kind] ?? "Fields" }), el("ul", {}, ...members.map((f) => member(f)))] : []),
    ...linked("Implements", t.interfaces), ...linked("One of", t.possibleTypes),
  ];
}

function found(words) {
  const hits = [];
  const rank = (name, description) => {
    const n = name.toLowerCase();
    return n === words ? 0 : n.startsWith(words) ? 1 : n.includes(words) ? 2 : description?.toLowerCase().includes(words) ? 4 : -1;
  };
  for (const t of schema.types.values()) {
    const own = rank(t.name, t.description);
    if (own >= 0) hits.push([own, t.name, () => el("li", {}, el("div", { className: "sig" }, typeLink(t.name)), t.description ? el("p", { textContent: t.description }) : null)]);
    for (const f of membersOf(t)) {
      const r = rank(f.name, f.description);
      if (r >= 0) hits.push([r + (schema.roots.includes(t.name) ? 0 : .5), f.name, () => member(f, t.name)]);
    }
  }
  hits.sort((a, b) => a[0] - b[0] || a[1].localeCompare(b[1]));
  if (!hits.length) return [el("p", { textContent: "No matches." })];
  return [el("h4", { textContent: hits.length > 80 ? `The first 80 of ${hits.length}` : `${hits.length} found` }), el("ul", {}, ...hits.slice(0, 80).map((h) => h[2]()))];
}

$("search").addEventListener("input", () => draw());
$("schema-reload").addEventListener("click", loadSchema);
$("schema-toggle").addEventListener("click", () => {
  const opening = $("schema").hidden;
  $("schema").hidden = !opening;
  $("schema-toggle").setAttribute("aria-expanded", String(opening));
  document.querySelector(".panes").classList.toggle("wide", opening);
  if (opening && !schema.types) loadSchema();
  if (opening) $("search").focus();
});
