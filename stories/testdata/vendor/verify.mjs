// Has the vendor's JavaScript verifier look at tokens: by the key set that a server kit fetches with its secret key, and
// by a public key that it was given. It reads {"api": address, "secret": API key, "pem": public key, "tokens": {name:
// token}, "party": origin} from standard input, and prints for each name and each way the claims, or why the token was
// refused. "later" is the token "session" in an hour, "foreign" the same where its origin is not expected, "unknown" the
// same to a kit with a wrong secret key.
import { verifyToken } from '@clerk/backend';

let input = '';
for await (const piece of process.stdin) input += piece;
const { api, secret, pem, tokens, party } = JSON.parse(input);

const byKeys = (key) => ({ secretKey: key, apiUrl: api, skipJwksCache: true });
const look = async (token, how) => {
  try {
    return { claims: await verifyToken(token, how) };
  } catch (e) {
    return { refused: String(e.reason ?? e.message ?? e) };
  }
};
const both = async (token, more) => ({ jwks: await look(token, { ...byKeys(secret), ...more }), pem: await look(token, { jwtKey: pem, ...more }) });

const seen = {};
for (const [name, token] of Object.entries(tokens)) seen[name] = await both(token, { authorizedParties: [party] });
if (tokens.session) {
  seen.foreign = await both(tokens.session, { authorizedParties: ['http://elsewhere.example'] });
  seen.unknown = { jwks: await look(tokens.session, byKeys('sk_test_unknown')) };
  const now = Date.now;
  Date.now = () => now() + 3600_000;
  seen.later = await both(tokens.session);
}
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
