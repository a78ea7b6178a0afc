// Drives the vendor's browser client against a running server, as a page or a native application would, and prints what
// it saw as one JSON object. What it is to do comes as a JSON object on standard input, so that no credential is an
// argument; it holds:
//
//   how       "browser" (the cookie __client), "development" (a development browser, handed over in the query) or
//             "native" (the header Authorization)
//   api, page the server's address, and the origin of the page
//   client    the client token; empty for a client that nobody knows yet
//   service   an access token of a trusted service
//   sessions  the ids of the client's three sessions; none for an unknown client
import { Browser } from 'happy-dom';

let input = '';
for await (const piece of process.stdin) input += piece;
const { how, api, page, client, service, sessions } = JSON.parse(input);
const backend = globalThis.fetch; // of a server: no page, no cookie
const calls = []; // what the client asked the server for

let online = backend;
let document;
if (how !== 'native') {
  // The page. Requests to other origins follow the rules of CORS and of cookies, as in a browser.
  const browser = new Browser({ settings: { navigation: { disableMainFrameNavigation: true } } });
  const tab = browser.newPage();
  tab.url = `${page}/` + (how === 'development' && client ? `?__clerk_db_jwt=${encodeURIComponent(client)}` : '');
  const window = tab.mainFrame.window;
  const own = ['document', 'location', 'history', 'navigator', 'fetch', 'Headers', 'Request', 'Response', 'FormData', 'Event', 'CustomEvent',
    'AbortController', 'AbortSignal', 'localStorage', 'sessionStorage'];
  for (const name of new Set([...own, ...Object.getOwnPropertyNames(window)])) {
    if (own.includes(name) || !(name in globalThis)) {
      Object.defineProperty(globalThis, name, { value: window[name], configurable: true, writable: true });
    }
  }
  Object.assign(globalThis, { window, self: window, isSecureContext: false }); // false: it has no navigator.locks
  if (how === 'browser' && client) {
    browser.defaultContext.cookieContainer.addCookies([{ key: '__client', value: client, originURL: new URL(api), httpOnly: true, sameSite: 'Lax' }]);
  }
  online = window.fetch.bind(window);
  document = window.document;
}
globalThis.fetch = async (resource, init) => {
  const url = new URL(String(resource));
  if (url.origin !== api) throw new Error('a request to another host: ' + url.origin);
  const answer = await online(url.href, init);
  calls.push(`${url.searchParams.get('_method') ?? init?.method ?? 'GET'} ${url.pathname} ${answer.status}`);
  return answer;
};
if (globalThis.window) globalThis.window.fetch = globalThis.fetch;

const { Clerk } = await import('@clerk/clerk-js/no-rhc');
// The key names a host, as the vendor's own do; only one of the vendor's makes the client keep a development browser.
// proxyUrl is how an institution puts its own address in the place of that.
const key = how === 'development' ? 'pk_test_' + btoa('gatehouse.clerk.accounts.dev$') : 'pk_live_' + btoa('clerk.gatehouse.example$');
const clerk = new Clerk(key, { proxyUrl: api });
if (how === 'native') {
  let credential = client;
  clerk.__internal_onBeforeRequest((request) => {
    request.credentials = 'omit';
    request.url.searchParams.set('_is_native', '1');
    request.headers.set('Authorization', credential);
  });
  clerk.__internal_onAfterResponse((_, answer) => {
    credential = answer.headers.get('Authorization') || credential;
  });
}

const seen = { calls };
const listed = () => Object.fromEntries(clerk.client.sessions.map((s) => [s.id, s.status]));
const session = (id) => clerk.client.sessions.find((s) => s.id === id);
const passes = (ms) => new Promise((done) => setTimeout(done, ms));
const refusal = async (promise) => {
  try {
    await promise;
    return {};
  } catch (e) {
    return { status: e.status, code: e.errors?.[0]?.code, message: e.errors?.[0]?.message, longMessage: e.errors?.[0]?.longMessage };
  }
};
// The names of the page's own cookies that hold something; names come with the suffix of the key too.
const cookies = () => (document?.cookie ?? '').split('; ').filter((c) => c && !c.endsWith('=')).map((c) => c.split('=')[0]).sort();

async function known([first, second, third]) {
  seen.loaded = { session: clerk.session?.id, user: clerk.user?.id, sessions: listed(), cookies: cookies() };

  seen.token = await clerk.session.getToken({ skipCache: true });
  seen.template = await clerk.session.getToken({ template: 'backend' });
  seen.unknownTemplate = await refusal(clerk.session.getToken({ template: 'nothing' }));

  const before = session(second).lastActiveAt.getTime();
  await passes(5);
  const touched = await session(second).touch();
  seen.touched = { id: touched.id, moved: touched.lastActiveAt.getTime() > before, active: clerk.client.lastActiveSessionId };
  await clerk.setActive({ session: second });
  seen.switched = { session: clerk.session?.id, token: await clerk.session.getToken() };

  const ended = await session(third).end();
  seen.ended = { status: ended.status, sessions: listed() };
  seen.endedTwice = await refusal(session(third).end());
  const removed = await session(third).remove();
  seen.removed = { status: removed.status, sessions: listed() };
  seen.removedTwice = await refusal(removed.remove());

  // The institution ends the session that is in use. The client hears of it at its next token.
  const answer = await backend(`${api}/system/terminatedCustomerSessions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${service}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ sessionId: second }),
  });
  seen.terminated = answer.status;
  seen.afterwards = await refusal(session(second).getToken({ skipCache: true }));
  for (let n = 0; clerk.session && n < 100; n++) await passes(50); // it reads its client again
  seen.noticed = { sessions: listed(), session: clerk.session?.id ?? null };

  await clerk.setActive({ session: first });
  seen.back = clerk.session?.id;
}

async function unknown() {
  seen.loaded = { session: clerk.session?.id ?? null, sessions: listed(), cookies: cookies() };
  if (!clerk.client.id) await clerk.client.create();
  seen.client = clerk.client.id;
  // The login service signs the customer in on the client that it was told of.
  const answer = await backend(`${api}/graphql`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${service}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({
      query: 'mutation($client: ID!) { createSession(input: {userId: "alice", clientId: $client}) { session { id } problems { code } } }',
      variables: { client: clerk.client.id },
    }),
  });
  const created = (await answer.json()).data.createSession.session.id;
  await clerk.client.reload();
  await clerk.setActive({ session: created });
  seen.signedIn = { created, session: clerk.session?.id, sessions: listed(), token: await clerk.session.getToken() };
}

try {
  await clerk.load({ standardBrowser: how !== 'native', telemetry: false, unsafe_disableDevelopmentModeConsoleWarning: true });
  await (sessions ? known(sessions) : unknown());
  // Where there is no page there is none to go to, but the client asks for its address.
  if (!globalThis.window) globalThis.window = { location: new URL(page), dispatchEvent: () => true, addEventListener: () => {} };
  await clerk.signOut({ redirectUrl: `${page}/` });
  await clerk.client.reload();
  seen.signedOut = { session: clerk.session?.id ?? null, sessions: listed(), cookies: cookies() };
} catch (e) {
  seen.failed = String(e?.stack ?? e);
}
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
