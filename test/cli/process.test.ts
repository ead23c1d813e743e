/** The process around a command: descriptors, readiness, signals (spec/command-line.md, "Output"). */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a line of bash in `cwd`, where `$casync` is our command. */
function shell(line: string, cwd: string): Promise<Ended> {
  const env = { ...process.env, casync: `${process.execPath} ${CASYNC}`, LC_ALL: 'C' };
  const child = spawn('bash', ['-c', line], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  return ended(child);
}

function ended(child: ReturnType<typeof spawn>): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stderr?.on('data', (bytes) => {
    stderr += bytes;
  });
  return new Promise((done) => child.on('close', (status) => done({ status, stdout, stderr })));
}

let made = '';

/** A blob, a tree, and an archive and indexes of them, made once. */
test.before(async () => {
  made = makeTemporaryFolder();
  fs.writeFileSync(join(made, 'blob'), noise(3_000_000));
  fs.mkdirSync(join(made, 'tree'));
  fs.writeFileSync(join(made, 'tree/file'), noise(100_000));
  for (const args of [
    ['x.caibx', 'blob'],
    ['x.caidx', 'tree'],
    ['x.catar', 'tree'],
  ]) {
    await succeed(runCasync(['make', ...args], { cwd: made }));
  }
});
test.after.always(() => removeTree(made));

/** A copy of them for one test. */
function example(t: ExecutionContext): string {
  t.timeout(120_000);
  const folder = temporaryFolder(t);
  fs.cpSync(made, folder, { recursive: true });
  return folder;
}

interface ProgressLine {
  readonly event: string;
  readonly phase: string;
  readonly doneBytes: number;
  readonly totalBytes?: number;
}

function progressLines(text: string): readonly ProgressLine[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('progress goes to the descriptor that is named, as JSON lines up to the end', async (t) => {
  const folder = example(t);
  const lines = [
    ['make y.caibx blob', 'make', 3_000_000],
    ['extract x.caibx copy', 'extract', 3_000_000],
    ['digest blob', 'digest', 3_000_000],
    ['extract x.caidx out', 'extract', undefined],
    ['extract x.catar out', 'extract', undefined],
    ['make y.catar tree', 'make', undefined],
    ['verify x.caibx', 'verify', undefined],
    ['clone tree copies', 'clone', undefined],
  ] as const;
  for (const [args, phase, bytes] of lines) {
    const line = `$casync ${args} --progress=json:7 7>progress`;
    const { status, stderr } = await shell(line, folder);
    t.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    const reported = progressLines(fs.readFileSync(join(folder, 'progress'), 'utf8'));
    t.true(reported.every((each) => each.event === 'progress' && each.phase === phase));
    t.true(reported.length > 0, args);
    if (bytes !== undefined) t.is(reported.at(-1)?.doneBytes, bytes, args);
  }
});

test('progress goes to standard error if no descriptor is named', async (t) => {
  const folder = example(t);
  const result = await succeed(runCasync(['digest', '--progress=json', 'blob'], { cwd: folder }));
  t.is(progressLines(result.stderr.toString()).at(-1)?.doneBytes, 3_000_000);
});

test('statistics are one line of JSON', async (t) => {
  const folder = example(t);
  const { status, stderr } = await shell(
    '$casync make y.caibx blob --stats=json:9 9>stats',
    folder,
  );
  t.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const text = fs.readFileSync(join(folder, 'stats'), 'utf8');
  t.is(text.split('\n').length, 2);
  t.is(JSON.parse(text).verb, 'make');
});

for (const option of ['progress', 'stats']) {
  const wrong: Readonly<Record<string, readonly [redirection: string, descriptor: number]>> = {
    'is not open': ['', 77],
    'can only be read': ['7<blob', 7],
    'is closed': ['7>&-', 7],
  };
  for (const [what, [redirection, descriptor]] of Object.entries(wrong)) {
    test(`--${option} to a descriptor that ${what} is refused before any work`, async (t) => {
      const folder = example(t);
      const line = `$casync make z.caibx blob --${option}=json:${descriptor} ${redirection}`;
      const { status, stdout, stderr } = await shell(line, folder);
      t.is(status, 1);
      t.is(stdout, '');
      t.regex(stderr, new RegExp(`^--${option}=json:${descriptor}: (Bad file|Not open)[^\n]*\n$`));
      t.false(fs.existsSync(join(folder, 'z.caibx')));
    });
  }
}

test('descriptors that only the runtime has opened are refused', async (t) => {
  const folder = example(t);
  const { stdout } = await shell(
    'for fd in $(seq 3 40); do $casync digest blob --progress=json:$fd 2>&1; done | sort | uniq -c',
    folder,
  );
  t.notRegex(stdout, /Internal|assert|Aborted/i);
  t.is(
    stdout
      .trim()
      .split('\n')
      .filter((line) => !line.includes('--progress=')).length,
    0,
    stdout,
  );
});

test('a reader of the progress that goes away ends nothing', async (t) => {
  const folder = example(t);
  const line = '$casync digest blob --progress=json:7 7> >(exec 0<&-; sleep 0)';
  const { status, stdout } = await shell(line, folder);
  t.is(status, 0);
  t.regex(stdout, /^[0-9a-f]{64}\n$/);
});

for (const args of ['list x.catar', 'mtree x.catar', 'stat x.catar', 'digest blob', '--help']) {
  test(`${args}: a result that cannot be written is a failure`, async (t) => {
    const { status, stderr } = await shell(`$casync ${args} >/dev/full`, example(t));
    t.is(status, 13);
    t.regex(stderr, /standard output.*No space left on device\n$/);
  });
  test(`${args}: a reader that is gone is no failure`, async (t) => {
    const line = `$casync ${args} 2>message | (exec 0<&-); echo \${PIPESTATUS[0]}; cat message`;
    const { stdout } = await shell(line, example(t));
    t.is(stdout, '0\n');
  });
}

const LEVELS: readonly (readonly [options: string, isVerbose: boolean, tellsErrors: boolean])[] = [
  ['', false, true],
  ['-v', true, true],
  ['-v -lnotice', false, true],
  ['-v --log-level=err', false, true],
  ['-v -lcrit', false, false],
  ['-lcrit', false, false],
  ['-lemerg', false, false],
  ['-v -ldebug', true, true],
];
for (const [options, isVerbose, tellsErrors] of LEVELS) {
  test(`what is said with ${options || 'no option'}`, async (t) => {
    const folder = example(t);
    const good = await shell(`$casync ${options} make y.caibx blob`, folder);
    t.is(good.status, 0);
    t.is(/^Selected chunk sizes: /.test(good.stderr), isVerbose, good.stderr);
    t.is(good.stderr === '', !isVerbose);
    const bad = await shell(`$casync ${options} extract none.caibx out`, folder);
    t.not(bad.status, 0);
    t.is(bad.stderr.includes('none.caibx'), tellsErrors, bad.stderr);
    if (!tellsErrors) t.is(bad.stderr, '');
  });
}

const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name.startswith('@') else name)
s.settimeout(60)
print('listening', flush=True)
while True:
    data = s.recv(4096)
    if data == b'END': break
    print(data.decode(), flush=True)
`;

const NOTIFYING: Readonly<Record<string, string>> = {
  'make y.catar tree': 'READY=1',
  'make y.caibx blob': 'READY=1',
  'extract x.caidx out': 'READY=1',
  'list tree': 'READY=1',
  'mtree x.catar': 'READY=1',
  'stat x.caidx': 'READY=1',
  'digest blob': 'READY=1',
  help: '',
  'gc --store=default.castr x.caibx x.caidx': '',
};

for (const kind of ['path', 'abstract name'] as const) {
  test(`who waits at a ${kind} is told when the work begins`, async (t) => {
    if (!requirement(t, { commands: ['python3'] })) return;
    const folder = example(t);
    const name = kind === 'path' ? join(folder, 'socket') : `@casync-test-${process.pid}`;
    for (const [args, expected] of Object.entries(NOTIFYING)) {
      fs.rmSync(join(folder, 'socket'), { force: true });
      const listener = spawn('python3', ['-c', LISTENER, name]);
      const heard = ended(listener);
      await new Promise((resolve) => listener.stdout?.once('data', resolve));
      const options = { cwd: folder, env: { NOTIFY_SOCKET: name } };
      await succeed(runCasync(args.split(' '), options));
      const address = kind === 'path' ? name : `\\0${name.slice(1)}`;
      const send = `import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'END', '${address}')`;
      await ended(spawn('python3', ['-c', send]));
      t.deepEqual((await heard).stdout.split('\n').slice(1, -1).join('\n'), expected, args);
    }
  });
}

test('nobody has to listen', async (t) => {
  const folder = example(t);
  for (const name of ['/nonexistent/socket', '@nobody', 'relative', `/${'x'.repeat(200)}`, '']) {
    const options = { cwd: folder, env: { NOTIFY_SOCKET: name } };
    t.is((await succeed(runCasync(['digest', 'blob'], options))).stderr.length, 0);
  }
});
