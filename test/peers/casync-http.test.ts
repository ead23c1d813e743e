/** casync-http of ours with the reference as its client, on a real nginx. */

import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { GOLDEN, golden } from '../helpers/golden.ts';
import { NGINX_NEEDS, type Nginx, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, describeRun, type RunResult, runReference } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const NAMES = ['casync-http', 'casync-https', 'casync-ftp', 'casync-sftp'];
const NEEDS = {
  ...NGINX_NEEDS,
  commands: ['casync', ...(NGINX_NEEDS.commands ?? [])],
};

function writeHelpers(t: ExecutionContext): string {
  const folder = join(temporaryFolder(t), 'protocols');
  mkdirSync(folder);
  for (const name of NAMES) symlinkSync(CASYNC, join(folder, name));
  return folder;
}

interface Outcome {
  readonly status: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a helper under its name. */
function runHelper(t: ExecutionContext, name: string, words: readonly string[]): Promise<Outcome> {
  const program = join(writeHelpers(t), name);
  return new Promise((done) => {
    const child = execFile(program, words, (_, stdout, stderr) =>
      done({ status: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

async function withNginx(
  t: ExecutionContext,
  work: (server: Nginx, reference: (...args: string[]) => Promise<RunResult>) => Promise<void>,
): Promise<void> {
  const server = await startNginx({ folder: GOLDEN });
  t.teardown(() => server.stop());
  const cwd = temporaryFolder(t);
  const env = { CASYNC_PROTOCOL_PATH: writeHelpers(t) };
  await work(server, (...args) => runReference(args, { env, cwd }));
}

test('the reference extracts and lists over HTTP with our helper', async (t) => {
  if (!requirement(t, NEEDS)) return;
  await withNginx(t, async ({ url }, reference) => {
    const out = join(temporaryFolder(t), 'out');
    const store = `--store=${url}/stores/zstd-sha512-256.castr`;
    const extracted = await reference(
      'extract',
      store,
      `${url}/blob-index/text-default.caibx`,
      out,
    );
    t.is(extracted.status, 0, describeRun(extracted));
    t.is(extracted.stderr.toString(), '');
    t.deepEqual(new Uint8Array(readFileSync(out)), golden('blobs/text'));
    const listed = await reference('list', `${url}/tree/default.caidx?query`);
    t.is(listed.stdout.toString(), Buffer.from(golden('tree/default.list')).toString());
    const archive = await reference('list', `${url}/tree/default.catar`);
    t.is(archive.stdout.toString(), Buffer.from(golden('tree/default.list')).toString());
  });
});

test('what is not there is said so, and no error page is taken for data', async (t) => {
  if (!requirement(t, NEEDS)) return;
  await withNginx(t, async ({ url }, reference) => {
    for (const name of ['none.caidx', 'none.catar']) {
      const result = await reference('list', `${url}/${name}`);
      t.is(result.status, 1);
      t.regex(result.stderr.toString(), /^File, URL or resource not found\.$/m);
      t.true(result.stderr.toString().includes(`/${name}`));
    }
    const index = `${url}/blob-index/text-default.caibx`;
    const result = await reference('extract', `--store=${url}/none.castr`, index, 'out');
    t.is(result.status, 1, describeRun(result));
  });
});

test('a helper says what the original says of words that it cannot use', async (t) => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['casync-http', [], /^Verb expected\.\n$/],
    ['casync-http', ['push', '-', '-', '-', 'http://x/'], /^Unknown verb: push\n$/],
    ['casync-http', ['pull', '-', '-', '-'], /^Expected at least 5 arguments\.\n$/],
    ['casync-http', ['pull', '-', '-', '-', '-'], /^Nothing to do\.\n$/],
    ['casync-https', ['pull', '-', '/etc/passwd', '-', '-'], /^Not a URL of http or https\.\n$/],
    ['casync-ftp', ['pull', '-', 'http://x/y.catar', '-', '-'], /^Not a URL of ftp\.\n$/],
    ['casync-sftp', ['pull', '-', '-', '-', 'host:store'], /^Not a URL of sftp\.\n$/],
    ['casync-http', ['--version'], /casync-http: unrecognized option '--version'\n$/],
    ['casync-http', ['--store=x', 'pull'], /casync-http: unrecognized option '--store=x'\n$/],
  ];
  for (const [name, words, stderr] of cases) {
    const outcome = await runHelper(t, name, words);
    t.deepEqual([outcome.status, outcome.stdout], [1, ''], words.join(' '));
    t.regex(outcome.stderr, stderr);
  }
});

test('the help of a helper is one line', async (t) => {
  for (const name of NAMES) {
    const outcome = await runHelper(t, name, ['--help']);
    t.deepEqual([outcome.status, outcome.stderr], [0, '']);
    t.regex(outcome.stdout, new RegExp(`^${name} -- .*\n$`));
  }
});

test('a password in a URL is in no message', async (t) => {
  const address = 'http://somebody:canary@127.0.0.1:1/x.catar?token=canary';
  const outcome = await runHelper(t, 'casync-ftp', ['pull', '-', address, '-', '-']);
  t.false(outcome.stderr.includes('canary'), outcome.stderr);
});
