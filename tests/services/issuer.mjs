// An OpenID Connect provider, and a user who logs in there as a browser does: `oidc` beside this file says how they are called.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [command, folder, issuer, ...rest] = process.argv.slice(2);
const callback = 'http://localhost/callback';

// Whoever logs in is known. By their names: what the provider says about them.
const people = {
  alice: { groups: ['platform', 'streams team'] },
  bob: { groups: ['flights'] },
  carol: {},
  'mallory root': { groups: ['platform'] },
};

async function serve() {
  const { default: Provider } = await import('oidc-provider');
  const keys = `${folder}/keys.json`;
  if (!existsSync(keys)) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), use: 'sig', alg: 'RS256' };
    writeFileSync(keys, JSON.stringify({ keys: [key] }), { mode: 0o600 });
  }
  const client = (client_id) => ({
    client_id,
    redirect_uris: [callback],
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    response_types: ['code'],
  });
  const provider = new Provider(issuer, {
    clients: [client('weir'), client('other')],
    jwks: JSON.parse(readFileSync(keys)),
    cookies: { keys: [randomBytes(16).toString('hex')] },
    claims: { openid: ['sub', 'groups'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    ttl: { IdToken: 3600, AccessToken: 60, Grant: 60, Interaction: 60, Session: 60 },
  });
  const tls = { key: readFileSync(`${folder}/server.key`), cert: readFileSync(`${folder}/server.pem`) };
  const { hostname, port } = new URL(issuer);
  createServer(tls, provider.callback()).listen(Number(port), hostname);
}

// The code flow with PKCE, and its forms: log in, then consent.
async function login(user, client) {
  const cookies = new Map();
  const visit = async (url, form) => {
    const options = { redirect: 'manual', headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } };
    const answer = await fetch(url, form ? { ...options, method: 'POST', body: new URLSearchParams(form) } : options);
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    return answer;
  };
  const verifier = randomBytes(32).toString('base64url');
  const parameters = new URLSearchParams({
    client_id: client,
    response_type: 'code',
    redirect_uri: callback,
    scope: 'openid',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  let next = `${issuer}/auth?${parameters}`;
  const forms = [{ prompt: 'login', login: user, password: 'any' }, { prompt: 'consent' }];
  for (let steps = 0; !next.startsWith(callback); steps += 1) {
    if (steps > 10) throw new Error(`the flow does not end, but at ${next}`);
    let answer = await visit(next);
    if (answer.status === 200) {
      const action = (await answer.text()).match(/<form[^>]*action="([^"]+)"/)[1];
      answer = await visit(new URL(action, issuer), forms.shift());
    }
    const location = answer.headers.get('location');
    if (!location) throw new Error(`${next} answers ${answer.status}: ${await answer.text()}`);
    next = new URL(location, issuer).href;
  }
  const code = new URL(next).searchParams.get('code');
  const exchanged = await visit(`${issuer}/token`, {
    grant_type: 'authorization_code', client_id: client, code, redirect_uri: callback, code_verifier: verifier,
  });
  const answer = await exchanged.json();
  if (!answer.id_token) throw new Error(`there is no token: ${JSON.stringify(answer)}`);
  console.log(answer.id_token);
}

await (command === 'serve' ? serve() : login(rest[0], rest[1]));
