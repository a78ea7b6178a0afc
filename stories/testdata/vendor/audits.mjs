// Has the public audit suite of GraphQL over HTTP look at a server. It reads {"url": address of the GraphQL endpoint}
// from standard input, and prints for each audit its id, its name (which begins with its level), the outcome and, where
// that is not "ok", the reason and what the server answered.
import { serverAudits } from 'graphql-http';

let input = '';
for await (const piece of process.stdin) input += piece;
const { url } = JSON.parse(input);

const seen = [];
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  const { id, name, status, reason, response } = await audit.fn();
  const answer = response && `${response.status} ${response.headers.get('content-type')}`;
  seen.push({ id, name, status, reason, answer });
}
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
