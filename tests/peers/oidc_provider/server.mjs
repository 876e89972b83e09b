// An authorisation server for tests: `oidc-provider`, told what to be over stdin.
//
// Every line of stdin is a JSON object, answered by one line of JSON on stdout. The first is the
// configuration, see `start`; each one after it is a command, see `commands`. When stdin closes,
// the program ends, so that nothing outlives the tests. Version 8 of the package is the last one
// that runs on Node 18, which is what Debian 12 has.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import Provider from 'oidc-provider';

const KINDS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  EdDSA: ['ed25519', {}],
};

console.info = console.warn; // the package's notices: stdout is for answers

let config;
let issuer;
let provider;
let handle;
let keys = [];
let made = 0;
let calls = {};

const server = createServer((request, response) => {
  const path = request.url.split('?')[0];
  calls[path] = (calls[path] ?? 0) + 1;
  handle(request, response);
});

function makeKey(alg) {
  const [type, options] = KINDS[alg];
  made += 1;
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  return { ...jwk, alg, use: 'sig', kid: `${config.kid}-${made}` };
}

function resourceServer(name) {
  const resource = config.resources[name];
  if (resource === undefined) throw new Error(`no resource ${name}`);
  return {
    scope: config.scopes.join(' '),
    audience: name,
    accessTokenTTL: resource.seconds ?? 600,
    accessTokenFormat: resource.format,
    ...(resource.format === 'jwt' ? { jwt: { sign: { alg: resource.alg } } } : {}),
  };
}

// A provider keeps the keys that it began with: other keys need another one. What it has issued
// is kept by the module, so opaque tokens outlive the change.
function build() {
  provider = new Provider(issuer, {
    clients: config.clients.map((client) => ({
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: keys[0].alg,
      ...client,
    })),
    clientDefaults: { id_token_signed_response_alg: keys[0].alg },
    cookies: { keys: ['for tests'] },
    jwks: { keys },
    scopes: config.scopes,
    ttl: { AccessToken: config.seconds, ClientCredentials: config.seconds },
    extraTokenClaims: (ctx, token) => config.claims[token.accountId ?? token.clientId],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, name) => resourceServer(name),
      },
    },
  });
  handle = provider.callback();
}

const commands = {
  // New signing keys: `algorithms`, one each. keep: the old ones stay published, after the new.
  rotate({ algorithms, keep }) {
    keys = [...algorithms.map(makeKey), ...(keep ? keys : [])];
    build();
    return { kids: keys.map((key) => key.kid) };
  },
  // A token without a login: of `account`, issued to `client`.
  async issue({ client, account, scope, resource, seconds }) {
    const found = await provider.Client.find(client);
    if (found === undefined) throw new Error(`no client ${client}`);
    const token = new provider.AccessToken({
      client: found,
      accountId: account,
      scope: scope || undefined,
      gty: 'test',
      ...(seconds ? { expiresIn: seconds } : {}),
      ...(resource
        ? { resourceServer: new provider.ResourceServer(resource, resourceServer(resource)) }
        : {}),
    });
    return { token: await token.save() };
  },
  // How often each path was asked for so far.
  calls() {
    return { calls };
  },
};

// port: 0 for a free one. kid: how the names of its keys begin.
async function start(told) {
  config = told;
  await new Promise((listening, failed) => {
    server.on('error', failed);
    server.listen(config.port, '127.0.0.1', listening);
  });
  const { port } = server.address();
  issuer = `http://127.0.0.1:${port}`;
  keys = config.algorithms.map(makeKey);
  build();
  return { port, kids: keys.map((key) => key.kid) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  let answer;
  try {
    answer = config === undefined ? await start(told) : await commands[told.command](told);
  } catch (error) {
    answer = { error: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
