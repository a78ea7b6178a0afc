// What the playground's two pages share: how an operation is sent and how its answer is read, and what stands for the
// placeholders of the examples. It talks to its own server only.

const { endpoint, tokens: mints } = document.body.dataset;
const admin = "gatehouse token --subject alice --scope \"banking/full\"";

// ---- Tokens of the demonstration people. They are kept in this variable only: not in a field, a store or an address.

let tokens = { until: 0, of: {} };

async function tokenOf(name) {
  if (!mints) throw new Error(`This server issues no token for {{${name}}}. Enter one in the headers; to create one, run: ${admin}`);
  if (Date.now() > tokens.until - 60_000) {
    // A page of another site cannot send this header, nor read the answer.
    const response = await fetch("/playground/tokens", { method: "POST", headers: { "X-Gatehouse-Playground": "1" } });
    if (!response.ok) throw new Error(`No token for {{${name}}}: ${(await response.text()).trim()}`);
    const { people, expiresAt } = await response.json();
    tokens = { until: Date.parse(expiresAt), of: people };
  }
  if (!Object.hasOwn(tokens.of, name)) throw new Error(`There is no person {{${name}}}. Available: ${Object.keys(tokens.of).join(", ")}.`);
  return tokens.of[name];
}

// fillHeaders puts a token where {{alice}} or another demonstration person stands.
async function fillHeaders(headers) {
  const out = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    out[name] = String(value);
    for (const [whole, person] of out[name].matchAll(/\{\{(\w+)\}\}/g)) out[name] = out[name].replace(whole, await tokenOf(person));
  }
  return out;
}

// ---- What answers have shown, for the placeholders of the variables. It is kept for this tab only.

export const remembered = JSON.parse(sessionStorage.getItem("remembered") ?? "{}");
const kinds = { inv: "lastInvitationId", sess: "lastSessionId", quiz: "lastQuizId", contact: "lastContactId", frr: "lastReportId", appr: "lastApprovalId", dev: "lastDeviceId" };
const uuids = { twoFactorRequest: "lastTwoFactorRequestId", deviceChallenge: "lastChallengeId" };

export function remember(value, name) {
  if (Array.isArray(value)) value.toReversed().forEach((v) => remember(v, name)); // the first of a list is the newest
  else if (value && typeof value === "object") {
    if (uuids[name] && value.id) remembered[uuids[name]] = value.id;
    if (Array.isArray(value.questions)) remembered.firstChoices = value.questions.map((q) => ({ questionId: q.questionId, answer: q.choices?.[0] }));
    for (const [k, v] of Object.entries(value)) remember(v, k);
  } else if (typeof value === "string") {
    const match = /^([a-z]+)_[0-9a-z]{10,}$/.exec(value);
    if (match && kinds[match[1]]) remembered[kinds[match[1]]] = value;
  }
  if (!name) sessionStorage.setItem("remembered", JSON.stringify(remembered));
}

// The demonstration device: everybody has this key, so it proves nothing.
const demonstrationKey = { kty: "OKP", crv: "Ed25519", x: "V7G-kfDA4eSSK279S1KjgslQygweU6eBJhyW3RrZatY", d: "Z2F0ZWhvdXNlIGRlbW9uc3RyYXRpb24gZGV2aWNlIDE" };

async function signature() {
  const challenge = remembered.lastChallengeId;
  if (!challenge) throw new Error("There is no challenge to sign: run 'Create a challenge' first.");
  if (!crypto.subtle) throw new Error("This browser can sign only on a secure page: open the playground at http://localhost or http://127.0.0.1.");
  const key = await crypto.subtle.importKey("jwk", demonstrationKey, "Ed25519", false, ["sign"]);
  const signed = await crypto.subtle.sign("Ed25519", key, new TextEncoder().encode(`${challenge}:alice`));
  return btoa(String.fromCharCode(...new Uint8Array(signed)));
}

// fillVariables puts what is known where {{lastInvitationId}} and the like stand; {{name|value}} has a value of its own
// for the time before.
export async function fillVariables(value) {
  if (Array.isArray(value)) return Promise.all(value.map(fillVariables));
  if (value && typeof value === "object") {
    return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([k, v]) => [k, await fillVariables(v)])));
  }
  const match = typeof value === "string" && /^\{\{(\w+)(?:\|([\w-]+))?\}\}$/.exec(value);
  if (!match) return value;
  const [whole, name, otherwise] = match;
  if (name === "signature") return signature();
  const known = remembered[name] ?? otherwise;
  if (known === undefined) throw new Error(`${whole} is not known yet: run an operation that returns one first, such as Create, or write the value yourself.`);
  return known;
}

// ---- Sending.

// send gives the response to an operation; a subscription asks for events. Placeholders are filled here.
export async function send({ body, headers, subscription, signal }) {
  return fetch(endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: subscription ? "text/event-stream" : "application/graphql-response+json, application/json",
      ...await fillHeaders(headers),
    },
    body: JSON.stringify({ ...body, variables: await fillVariables(body.variables ?? {}) }),
    credentials: "same-origin",
    signal,
  });
}

export const isStream = (response) => (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");

// results gives the results in a stream of server-sent events, until it says complete or ends.
export async function* results(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value.replaceAll("\r", "");
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n");
        const field = (name) => lines.filter((l) => l.startsWith(name + ":")).map((l) => l.slice(name.length + 1).trim()).join("\n");
        if (field("event") === "complete") return;
        if (field("data")) yield JSON.parse(field("data"));
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // who stops listening closes the connection
  }
}
