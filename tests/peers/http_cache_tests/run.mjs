// A run of `http-cache-tests` against one cache: its backend and its clients.
//
// Listens at 127.0.0.1 and writes its port as a line of stdout; the cache is to be in front of it.
// Then it reads the URL of the cache as a line of stdin, sends it all requests, and writes what
// came of each test as a line of JSON: [{"id", "kind", "wrong"}, ...].

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import * as config from 'http-cache-tests/client/config.mjs';
import { makeCacheTest, testResults } from 'http-cache-tests/client/test.mjs';
import handleConfig from 'http-cache-tests/server/handle-config.mjs';
import handleState from 'http-cache-tests/server/handle-state.mjs';
import handleTest from 'http-cache-tests/server/handle-test.mjs';
import suites from 'http-cache-tests/tests/index.mjs';
import surrogates from 'http-cache-tests/tests/surrogate-control.mjs';
import fetch from 'node-fetch';

console.log = console.warn; // the package's remarks: stdout is for answers

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);
const HANDLERS = { config: handleConfig, state: handleState, test: handleTest };

function answer(request, response) {
  const [, kind, ...rest] = new URL(request.url, 'http://127.0.0.1').pathname.split('/');
  HANDLERS[kind](rest, request, response);
}

function changes({ requests }) {
  return requests.some(({ request_method: method = 'GET' }) => !SAFE.has(method));
}

async function run(tests, together) {
  for (let begin = 0; begin < tests.length; begin += together) {
    await Promise.all(tests.slice(begin, begin + together).map(makeCacheTest));
  }
}

function told({ id, kind = 'required' }) {
  const outcome = testResults[id];
  return { id, kind, wrong: outcome === true ? '' : outcome[1] };
}

const server = createServer(answer);
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
createInterface({ input: process.stdin }).once('line', async (url) => {
  config.setFetch(fetch);
  config.setBaseUrl(url);
  const all = [...suites, surrogates].flatMap((suite) => suite.tests);
  const tests = all.filter((test) => !test.browser_only);
  await run(tests.filter((test) => !changes(test)), 90);
  // An unsafe request may stop a cache from keeping what is on its way to it just then.
  await run(tests.filter(changes), 10);
  process.stdout.write(`${JSON.stringify(tests.map(told))}\n`, () => process.exit());
});
