/**
 * Nothing secret gets out (spec/promises.md): passwords, tokens and keys from URLs, the configuration and
 * the environment are marked, and looked for in everything a run leaves, however it ends.
 */
import * as fs from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { describeRun, type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const MARK = 'cAnAry8Q7x';
const SECRETS = {
  url: `${MARK}Url`,
  password: `${MARK}Password`,
  token: `${MARK}Token`,
  header: `${MARK}Header`,
  key: `${MARK}Key`,
  session: `${MARK}Session`,
  proxy: `${MARK}Proxy`,
  query: `${MARK}Query`,
};
const LOGIN = 'reader';

/** The marks as they are, and as they stand in a header of basic authentication. */
const NEEDLES = [
  MARK,
  ...Object.values(SECRETS).map((secret) => {
    const header = Buffer.from(`${LOGIN}:${secret}`).toString('base64');
    return header.slice(12, 24);
  }),
];

let made = '';
let port = 0;
/** Authorization headers that came. */
const seen = new Set<string>();

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? '/', 'http://host');
  const { authorization } = request.headers;
  if (authorization !== undefined) seen.add(authorization);
  const [, area, ...rest] = pathname.split('/');
  const path = join(made, ...rest);
  finish(response, ...statusAndBody(area, path, authorization !== undefined));
}

function statusAndBody(area: string, path: string, hasLogin: boolean): [number, Uint8Array?] {
  if (area === 'busy') return [503];
  if (area === 'forbidden') return [403];
  if (area === 'login' && !hasLogin) return [401];
  if (area === 'garbage') return [200, Buffer.from('nonsense')];
  if (!fs.existsSync(path) || !fs.statSync(path).isFile()) return [404];
  return [200, fs.readFileSync(path)];
}

function finish(response: ServerResponse, status: number, body?: Uint8Array): void {
  const bytes = body ?? Buffer.from(`${status}`);
  response.writeHead(status, { 'content-length': bytes.length });
  response.end(response.req.method === 'HEAD' ? undefined : bytes);
}

const server = createServer(answer);

test.before(async () => {
  made = makeTemporaryFolder();
  fs.writeFileSync(join(made, 'blob'), noise(400_000));
  await succeed(runCasync(['make', 'x.caibx', 'blob'], { cwd: made }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
test.after.always(() => {
  server.close();
  removeTree(made);
});

/** @param host HOST:PORT, which may have a login before it */
const configuration = (): string => `
[[location]]
match = "http://127.0.0.1:${port}/**"
user = "${LOGIN}"
password = "${SECRETS.password}"
headers = { "X-Key" = "${SECRETS.header}" }
attempts = 2
timeout = 5

[[location]]
match = "http://127.0.0.1:${port}/forbidden/**"
token = "${SECRETS.token}"

[[location]]
match = "s3+http://**"
access-key-id = "AKIAEXAMPLE"
secret-access-key = "${SECRETS.key}"
session-token = "${SECRETS.session}"
region = "eu-central-1"
attempts = 1

[[location]]
match = "*://127.0.0.1:1/**"
attempts = 2
proxy = "none"
`;

interface Place {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A folder with a configuration, a program in the place of ssh, and room for everything a run writes. */
function place(t: ExecutionContext): Place {
  const folder = temporaryFolder(t);
  for (const name of ['tmp', 'home', 'work']) fs.mkdirSync(join(folder, name));
  fs.writeFileSync(join(folder, 'casync.toml'), configuration(), { mode: 0o600 });
  const script = `#!/bin/sh\ntr '\\0' ' ' < /proc/$$/cmdline >> ${folder}/arguments\nexit 255\n`;
  fs.writeFileSync(join(folder, 'ssh'), script, { mode: 0o755 });
  return {
    folder,
    environment: {
      HOME: join(folder, 'home'),
      TMPDIR: join(folder, 'tmp'),
      CASYNC_CONFIG: join(folder, 'casync.toml'),
      CASYNC_SSH_PATH: join(folder, 'ssh'),
      AWS_SECRET_ACCESS_KEY: SECRETS.key,
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      AWS_SESSION_TOKEN: SECRETS.session,
    },
  };
}

async function run(
  { folder, environment }: Place,
  line: string,
  more: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const loud = ['-v', '--log-level=debug', '--progress=json', '--stats=json'];
  const cwd = join(folder, 'work');
  return runCasync([...loud, ...line.split(' ')], { cwd, env: { ...environment, ...more } });
}

/** Looks through the output, the arguments of programs that were run, and all files but the configuration. */
function assertNothingOut(t: ExecutionContext, { folder }: Place, result: RunResult): void {
  for (const needle of NEEDLES) {
    t.false(result.stdout.includes(needle), `stdout: ${describeRun(result)}`);
    t.false(result.stderr.includes(needle), `stderr: ${describeRun(result)}`);
  }
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name);
    for (const needle of NEEDLES) t.false(name.includes(needle), name);
    if (name === 'casync.toml' || !fs.statSync(path).isFile()) continue;
    const bytes = fs.readFileSync(path);
    for (const needle of NEEDLES) t.false(bytes.includes(needle), name);
  }
}

const at = (area: string, name: string): string => `http://127.0.0.1:${port}/${area}/${name}`;
const withLogin = (area: string, name: string): string =>
  at(area, name).replace('//', `//${LOGIN}:${SECRETS.url}@`);

interface Case {
  readonly line: () => string;
  readonly status: number;
  readonly environment?: Readonly<Record<string, string>>;
}

const CASES: Readonly<Record<string, Case>> = {
  'a login in the URL that is right': {
    line: () => `--cache-store=cache.castr extract ${withLogin('login', 'x.caibx')} out`,
    status: 0,
  },
  'a login of the configuration that is right': {
    line: () => `--cache-store=cache.castr extract ${at('login', 'x.caibx')} out`,
    status: 0,
  },
  'a copy from a place with a login': {
    line: () => `copy --to=b.castr ${withLogin('login', 'x.caibx')} --json`,
    status: 0,
  },
  'a query with a secret': {
    line: () =>
      `--store=${at('login', 'default.castr')}?sig=${SECRETS.query} extract ${at('login', 'x.caibx')}?sig=${SECRETS.query} out`,
    status: 0,
  },
  'the configuration as text': { line: () => 'config', status: 0 },
  'the configuration as JSON': { line: () => 'config --json', status: 0 },
  'the settings of a place': {
    line: () => `config ${withLogin('login', `x.castr?sig=${SECRETS.query}`)} --json`,
    status: 0,
  },
  'an index that is missing': {
    line: () => `extract ${withLogin('login', 'no.caibx')} out`,
    status: 10,
  },
  'a store that is missing': {
    line: () => `--store=${withLogin('login', 'no.castr')} extract ${at('login', 'x.caibx')} out`,
    status: 12,
  },
  'a place that wants nobody': {
    line: () => `extract ${at('forbidden', 'x.caibx')} out`,
    status: 16,
  },
  'a place that wants nobody, to write': {
    line: () => `make ${withLogin('forbidden', 'y.caibx')} ${join(made, 'blob')}`,
    status: 16,
  },
  'a place that is busy': { line: () => `extract ${withLogin('busy', 'x.caibx')} out`, status: 16 },
  'a place that gives nonsense': {
    line: () => `extract ${withLogin('garbage', 'x.caibx')} out`,
    status: 14,
  },
  'a place where nobody is': {
    line: () => `extract http://${LOGIN}:${SECRETS.url}@127.0.0.1:1/x.caibx?a=${SECRETS.query} out`,
    status: 16,
  },
  'FTP where nobody is': {
    line: () => `extract ftp://${LOGIN}:${SECRETS.url}@127.0.0.1:1/x.caibx out`,
    status: 16,
  },
  'a proxy where nobody is': {
    line: () => 'extract http://example.invalid/x.caibx out',
    status: 16,
    environment: {
      http_proxy: `http://${LOGIN}:${SECRETS.proxy}@127.0.0.1:1/`,
      CASYNC_CONFIG: '/dev/null',
    },
  },
  'a scheme that nobody speaks': {
    line: () => `extract foo://${LOGIN}:${SECRETS.url}@host/x.caibx?a=${SECRETS.query} out`,
    status: 1,
  },
  'an address that is none': {
    line: () => `extract http://${LOGIN}:${SECRETS.url}@127.0.0.1:99999/x.caibx out`,
    status: 1,
  },
  'S3 with keys that are refused': {
    line: () => `extract s3+http://127.0.0.1:${port}/forbidden/x.caibx out`,
    status: 16,
  },
  'S3 without the bucket': {
    line: () => `--store=s3+http://127.0.0.1:${port}/no/x.castr make y.caibx ${join(made, 'blob')}`,
    status: 10,
  },
  'SFTP with a password in the URL': {
    line: () => `extract sftp://${LOGIN}:${SECRETS.url}@127.0.0.1:1/x.caibx out`,
    status: 1,
  },
  'ssh that fails': { line: () => `extract ${LOGIN}@host:x.caibx out`, status: 16 },
};

for (const [name, { line, status, environment }] of Object.entries(CASES)) {
  test(`nothing secret gets out: ${name}`, async (t) => {
    t.timeout(240_000);
    const where = place(t);
    const result = await run(where, line(), environment);
    t.is(result.status, status, describeRun(result));
    assertNothingOut(t, where, result);
  });
}

test('nothing secret gets out: a configuration with a mistake in every line', async (t) => {
  const where = place(t);
  const lines = configuration().split('\n');
  for (const [i, line] of lines.entries()) {
    if (!line.includes(MARK)) continue;
    for (const spoiled of [
      line.replace('=', '!='),
      line.replace('"', ''),
      `${line} x`,
      `x${line}`,
    ]) {
      const text = [...lines.slice(0, i), spoiled, ...lines.slice(i + 1)].join('\n');
      fs.writeFileSync(join(where.folder, 'casync.toml'), text);
      const result = await run(where, 'config');
      t.is(result.status, 1, describeRun(result));
      assertNothingOut(t, where, result);
    }
  }
});

test.after('the secrets were used at all', () => {
  const needed = [SECRETS.url, SECRETS.password].map((secret) =>
    Buffer.from(`${LOGIN}:${secret}`).toString('base64'),
  );
  for (const header of [...needed.map((text) => `Basic ${text}`), `Bearer ${SECRETS.token}`]) {
    if (!seen.has(header)) throw new Error(`never sent: ${header}`);
  }
});
