/** Which configuration counts, what it changes, and how `config` shows it (spec/remote.md, "Settings"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Home {
  readonly folder: string;
  readonly write: (name: string, text: string) => string;
  readonly run: (
    args: readonly string[],
    environment?: Readonly<Record<string, string | undefined>>,
  ) => Promise<RunResult>;
}

function home(t: ExecutionContext): Home {
  const folder = temporaryFolder(t);
  const variables = {
    HOME: folder,
    XDG_CONFIG_HOME: undefined,
    CASYNC_CONFIG: undefined,
    CASYNC_STORE: undefined,
  };
  return {
    folder,
    write(name, text) {
      const path = join(folder, name);
      fs.mkdirSync(join(path, '..'), { recursive: true });
      fs.writeFileSync(path, text, { mode: 0o600 });
      return path;
    },
    run: (args, environment = {}) =>
      runCasync(args, { cwd: folder, env: { ...variables, ...environment } }),
  };
}

const store = (name: string): string => `store = "/${name}"\n`;
const isOf = (name: string, result: RunResult): boolean =>
  result.stdout.includes(`store = "/${name}"`);

test('the file of the option wins over that of the variable, and that over the usual ones', async (t) => {
  const { run, write } = home(t);
  const usual = write('.config/casync/casync.toml', store('usual'));
  write('.config/casync/casync.json', '{"store": "/json"}');
  const xdg = write('xdg/casync/casync.json', '{"store": "/xdg"}');
  const variable = write('variable.toml', store('variable'));
  const option = write('option.json', '{"store": "/option"}');
  const CASYNC_CONFIG = variable;
  const XDG_CONFIG_HOME = join(xdg, '../..');
  for (const [name, args, environment] of [
    ['usual', [], {}],
    ['usual', [], { XDG_CONFIG_HOME: 'relative', CASYNC_CONFIG: '' }],
    ['xdg', [], { XDG_CONFIG_HOME }],
    ['variable', [], { XDG_CONFIG_HOME, CASYNC_CONFIG }],
    ['option', [`--config=${option}`], { XDG_CONFIG_HOME, CASYNC_CONFIG }],
  ] as const) {
    const result = await succeed(run([...args, 'config'], environment));
    t.true(isOf(name, result), `${name}: ${result.stdout}`);
  }
  const none = await succeed(run(['--config=', 'config'], { CASYNC_CONFIG }));
  t.is(none.stdout.toString(), '# no files\n');
  t.true(fs.existsSync(usual));
});

test('a file that is wrong or missing ends every command with one line and status 1', async (t) => {
  const { folder, run, write } = home(t);
  const wrong = write('wrong.toml', '\nstroe = "x"\n');
  const missing = join(folder, 'missing.toml');
  for (const [file, message] of [
    [wrong, `${wrong}:2: stroe: unknown key\n`],
    [missing, `${missing}: Failed to read: No such file or directory\n`],
  ]) {
    for (const command of [['config'], ['list', '.']]) {
      const result = await run([`--config=${file}`, ...command]);
      t.is(result.status, 1, describeRun(result));
      t.is(result.stderr.toString(), message);
      t.is(result.stdout.toString(), '');
    }
  }
});

test('the store of a file is used where nothing else names one', async (t) => {
  const { folder, run, write } = home(t);
  write('.config/casync/casync.toml', 'store = "configured.castr"\n');
  write('blob', 'content');
  await succeed(run(['make', 'a.caibx', 'blob']));
  t.true(fs.existsSync(join(folder, '.config/casync/configured.castr')));
  await succeed(run(['make', 'b.caibx', 'blob'], { CASYNC_STORE: 'variable.castr' }));
  await succeed(run(['make', 'c.caibx', 'blob', '--store=option.castr']));
  const made = fs.readdirSync(folder).filter((name) => name.endsWith('.castr'));
  t.deepEqual(made.sort(), ['option.castr', 'variable.castr']);
  await succeed(run(['verify', 'a.caibx', 'blob']));
  await succeed(run(['extract', 'a.caibx', 'out']));
});

test('options and environment win over what a file says of a place', async (t) => {
  const { run, write } = home(t);
  write(
    '.config/casync/casync.toml',
    `rate-limit = 5
[[location]]
match = "ssh://host"
ssh-program = "/file/ssh"
remote-program = "/file/casync"
password = "x"
`,
  );
  const show = async (args: readonly string[], environment = {}): Promise<unknown> => {
    const { stdout } = await succeed(run(['--json', ...args, 'config', 'me@host:x'], environment));
    return JSON.parse(stdout.toString()).settings;
  };
  const file = { 'ssh-program': '/file/ssh', 'remote-program': '/file/casync', password: '***' };
  t.deepEqual(await show([]), { ...file, 'rate-limit': 5 });
  const environment = { CASYNC_SSH_PATH: '/env/ssh', CASYNC_REMOTE_PATH: '/env/casync' };
  t.deepEqual(await show(['--rate-limit-bps=1K'], environment), {
    'ssh-program': '/env/ssh',
    'remote-program': '/env/casync',
    password: '***',
    'rate-limit': 1024,
  });
});

test('what config prints is a configuration again', async (t) => {
  const { run, write } = home(t);
  const text = `store = "/s"
extra-stores = ["/a", "host:b"]
rate-limit = 10

[[location]]
match = "https://example.org/**"
user = 'a "quoted" \\ name'
headers = { "X-A" = "b" }
timeout = 0.5
path-style = true
`;
  const first = await succeed(run([`--config=${write('a.toml', text)}`, 'config']));
  const again = write('b.toml', first.stdout.toString());
  const second = await succeed(run([`--config=${again}`, 'config']));
  const settings = (result: RunResult): string => result.stdout.toString().replace(/^#.*\n/gm, '');
  t.is(settings(second), settings(first));
  t.regex(settings(first), /user = "a \\"quoted\\" \\\\ name"\n/);
});

test('without a file nothing is loaded for it', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const { folder } = home(t);
  const log = join(folder, 'calls');
  const wrapper = ['strace', '-f', '-e', 'trace=file', '-o', log];
  const env = { HOME: folder, XDG_CONFIG_HOME: undefined, CASYNC_CONFIG: undefined };
  await succeed(runCasync(['list', '.'], { cwd: folder, env, wrapper }));
  const calls = fs.readFileSync(log, 'utf8');
  t.false(calls.includes('smol-toml'));
  t.false(calls.includes('undici'));
});
