// A run of `http-cache-tests` against one cache: its backend and its clients.
//
// Listens at 127.0.0.1 and writes its port as a line of stdout; the cache is to be in front of it.
// Then it reads the URL of the cache as a line of stdin, sends it all requests, and writes what
// came of each test as a line of JSON: [{"id", "kind", "wrong"}, ...].

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { getResults, runTests } from 'http-cache-tests/client/runner.mjs';
import handleConfig from 'http-cache-tests/server/handle-config.mjs';
import handleState from 'http-cache-tests/server/handle-state.mjs';
import handleTest from 'http-cache-tests/server/handle-test.mjs';
import suites from 'http-cache-tests/tests/index.mjs';
import surrogates from 'http-cache-tests/tests/surrogate-control.mjs';
import fetch from 'node-fetch';

console.log = console.warn; // the package's remarks: stdout is for answers

const HANDLERS = { config: handleConfig, state: handleState, test: handleTest };

function answer(request, response) {
  const [, kind, ...rest] = new URL(request.url, 'http://127.0.0.1').pathname.split('/');
  HANDLERS[kind](rest, request, response);
}

function told(tests) {
  const outcomes = getResults();
  return tests
    .filter((test) => test.id in outcomes)
    .map(({ id, kind = 'required' }) => (
      { id, kind, wrong: outcomes[id] === true ? '' : outcomes[id][1] }
    ));
}

const server = createServer(answer);
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
createInterface({ input: process.stdin }).once('line', async (url) => {
  const all = [...suites, surrogates];
  await runTests(all, fetch, false, url, 120);
  const tests = told(all.flatMap((suite) => suite.tests));
  process.stdout.write(`${JSON.stringify(tests)}\n`, () => process.exit());
});
