// The playground with GraphiQL: its tabs are the life cycles, each with the operations of one. GraphiQL, React and the
// explorer are global variables of the scripts before this one.

import { isStream, remember, remembered, results, send } from "./client.js";

const { React, ReactDOM, GraphiQL, GraphiQLPluginExplorer } = window;
const h = React.createElement;
const root = document.getElementById("graphiql");
const load = async (path) => (await fetch(path)).json();
const [tabs, examples] = await Promise.all([load("/playground/tabs.json"), load("/playground/examples.json")]);

// A library inside makes one style element; with this it carries the nonce of the page's policy.
window.__webpack_nonce__ = root.nonce;

// fetcher sends what the editor holds: of the variables those that the chosen operation declares, since a tab has
// several operations.
async function fetcher({ query, variables, operationName }, { headers, documentAST } = {}) {
  const operations = documentAST?.definitions.filter((d) => d.kind === "OperationDefinition") ?? [];
  const chosen = operations.find((o) => o.name?.value === operationName) ?? operations[0];
  const declared = chosen?.variableDefinitions?.map((v) => v.variable.name.value);
  const own = declared ? Object.fromEntries(Object.entries(variables ?? {}).filter(([name]) => declared.includes(name))) : variables;
  const subscription = chosen?.operation === "subscription";
  const controller = new AbortController();
  const response = await send({ body: { query, variables: own, operationName }, headers, subscription, signal: controller.signal });
  if (!subscription || !isStream(response)) {
    const text = await response.text();
    let body;
    try {
      body = JSON.parse(text);
    } catch {
      throw new Error(`${response.status} ${response.statusText}: ${text || "an empty answer"}`);
    }
    remember(body.data);
    return body;
  }
  const events = results(response);
  return {
    [Symbol.asyncIterator]() { return this; },
    async next() {
      try {
        const event = await events.next();
        if (!event.done) remember(event.value.data);
        return event;
      } catch (e) {
        if (e.name === "AbortError") return { done: true };
        throw e;
      }
    },
    async return() {
      controller.abort();
      return { done: true };
    },
  };
}

const headersAs = (person) => person === "nobody" ? "" : JSON.stringify({ Authorization: `Bearer ${document.body.dataset.tokens ? `{{${person}}}` : ""}` }, null, 2);

// GraphiQL reads its tabs from a store. This one lives as long as the browser's tab, since headers may hold a token.
const store = sessionStorage;
if (!store.getItem("graphiql:tabState")) {
  const state = tabs.map((t, n) => ({
    id: String(n), hash: null, title: t.operations[0], query: t.document, variables: t.variables, headers: headersAs(t.as), operationName: t.operations[0], response: null,
  }));
  store.setItem("graphiql:tabState", JSON.stringify({ activeTabIndex: 0, tabs: state }));
  for (const field of ["query", "variables", "headers"]) store.setItem("graphiql:" + field, state[0][field]);
}

// ---- The panel of examples: one operation in a tab of its own.

function Examples() {
  const { addTab, tabs: open, activeTabIndex, queryEditor, variableEditor, headerEditor } = GraphiQL.React.useEditorContext({ nonNull: true });
  const wanted = React.useRef(null);
  React.useEffect(() => { // the new tab is there: fill it
    const example = wanted.current;
    if (!example) return;
    wanted.current = null;
    headerEditor?.setValue(headersAs(example.as));
    variableEditor?.setValue(example.variables);
    queryEditor?.setValue(example.comment + example.document);
  }, [open.length, activeTabIndex]);
  const groups = Map.groupBy ? Map.groupBy(examples, (e) => e.group) : examples.reduce((m, e) => m.set(e.group, [...m.get(e.group) ?? [], e]), new Map());
  return h("section", { className: "gatehouse-panel", "aria-label": "Examples" },
    h("h2", null, "Examples"),
    h("p", null, "Each example opens in its own tab, with its variables and with the token of the person who calls. Each tab above contains one life cycle."),
    [...groups].map(([name, list]) => h(React.Fragment, { key: name }, h("h3", null, name),
      h("ul", null, list.map((example) => h("li", { key: example.name }, h("button", {
        type: "button", onClick: () => { wanted.current = example; addTab(); },
      }, h("b", null, example.title), h("small", null, example.about))))))));
}

function Help() {
  const links = [["/playground/console", "The console", "a smaller page, with a search through the schema"]];
  if (document.body.dataset.reference) links.unshift([document.body.dataset.reference, "Reference", "operations, states with diagrams, errors, events, the REST dialects"]);
  const [known, show] = React.useState({});
  React.useEffect(() => {
    const timer = setInterval(() => show({ ...remembered }), 1000);
    return () => clearInterval(timer);
  }, []);
  const ids = Object.entries(known).filter(([, v]) => typeof v === "string");
  return h("section", { className: "gatehouse-panel", "aria-label": "Help" },
    h("h2", null, "Help"),
    h("ul", null, links.map(([href, name, about]) => h("li", { key: href }, h("a", { href }, name), h("small", null, about)))),
    h("h3", null, "The caller"),
    document.body.dataset.tokens
      ? h("p", null, h("code", null, "{{alice}}"), ", ", h("code", null, "{{bob}}"), " and ", h("code", null, "{{carol}}"), " in the headers become tokens of the demonstration people when an operation is sent. Alice holds every scope here.")
      : h("p", null, "Enter a token in the headers: ", h("code", null, "gatehouse token --subject alice --scope \"banking/full\"")),
    h("h3", null, "Ids"),
    h("p", null, "Placeholders in the variables, such as ", h("code", null, "{{lastInvitationId}}"), ", are replaced by ids from earlier responses."),
    ids.length > 0 && h("ul", null, ids.map(([name, id]) => h("li", { key: name }, h("code", null, name), h("small", null, h("code", null, id))))),
    h("h3", null, "Licenses"),
    h("p", null, "GraphiQL and React are under the MIT license: ", h("a", { href: "/playground/graphiql/LICENSES.txt" }, "texts"), "."));
}

const icon = (path) => () => h("svg", { width: "1.1em", height: "1.1em", viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 1.6, "aria-hidden": true }, h("path", { d: path }));
const plugins = [
  { title: "Examples", icon: icon("M4 5h16M4 12h16M4 19h10"), content: Examples },
  GraphiQLPluginExplorer.explorerPlugin(),
  { title: "Help", icon: icon("M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.7.4-1.1.9-1.1 1.8M12 16.5v.5"), content: Help },
];

ReactDOM.createRoot(root).render(h(GraphiQL, {
  fetcher, plugins, storage: store, shouldPersistHeaders: true, defaultEditorToolsVisibility: "variables", inputValueDeprecation: true,
  isHeadersEditorEnabled: true,
}, h(GraphiQL.Logo, null, h("a", { className: "gatehouse-logo", href: "/" }, h("img", { src: "/playground/icon.svg", alt: "", width: 20, height: 20 }), "Gatehouse"))));
