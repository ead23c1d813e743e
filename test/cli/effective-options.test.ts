/** What options and environment make of a run (spec/command-line.md, "Options", "Environment"). */
import test from 'ava';
import type { Context } from '../../cli/context.ts';
import { defaultOptions, type Options } from '../../cli/options.ts';
import { parseCommandLine } from '../../cli/program.ts';
import { threadOption, workOptions } from '../../cli/work.ts';
import { parseFeature } from '../../formats/feature-flags.ts';

type Environment = Readonly<Record<string, string>>;

function optionsOf(args: readonly string[], environment: Environment = {}): Options {
  const options = defaultOptions(environment);
  parseCommandLine('casync', [...args, 'list'], options, environment);
  return options;
}

/** What a run's options differ in from those of a run without any. */
function changes(args: readonly string[], environment: Environment = {}): Partial<Options> {
  const options = optionsOf(args, environment);
  const before: object = defaultOptions({});
  const changed = Object.entries(options).filter(
    ([name, value]) => !sameValue(value, Object.entries(before).find(([key]) => key === name)?.[1]),
  );
  return Object.fromEntries(changed);
}

function sameValue(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify([value], (_, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner));
  return text(a) === text(b);
}

const flag = (name: string): bigint => parseFeature(name) ?? 0n;

const SHIFT_ON = { uidShift: { enabled: true, shift: 0, range: 65536 } };

const ROWS: readonly (readonly [readonly string[], Partial<Options>])[] = [
  [[], {}],
  [['-lerr'], { logLevel: 3, isLogLevelChosen: true }],
  [['-v'], { verbose: true }],
  [['-n'], { dryRun: true }],
  [['--store=a', '--store=b'], { store: 'b' }],
  [['--extra-store=a', '--extra-store', 'b'], { extraStores: ['a', 'b'] }],
  [['--chunk-size=4096'], { chunkSizes: { min: 1024, avg: 4096, max: 16384 } }],
  [['--chunk-size=64M'], { chunkSizes: { min: 1 << 24, avg: 1 << 26, max: 1 << 27 } }],
  [['--chunk-size=1:2:3'], { chunkSizes: { min: 1, avg: 2, max: 3 } }],
  [['--chunk-size=1M512K'], { chunkSizes: { min: 393216, avg: 1572864, max: 6291456 } }],
  [['--chunk-size=4096', '--chunk-size=auto'], {}],
  [['--seed=a', '--seed=b', '--seed=a'], { seeds: ['a', 'b', 'a'] }],
  [['--cache=a'], { cache: 'a' }],
  [['-c'], { cacheAuto: true }],
  [['-c', '--cache=a'], { cacheAuto: true, cache: 'a' }],
  [['--rate-limit-bps=1.5K'], { rateLimitBps: 1536 }],
  [['--with=symlinks', '--with=fifos'], { with: flag('symlinks') | flag('fifos') }],
  [['--without=acl', '--without=unix'], { without: flag('acl') | flag('unix') }],
  [['--what=blob', '--what=archive-index'], { what: 'archive-index' }],
  [['--exclude-nodump=no'], { excludeNodump: false }],
  [['--exclude-submounts=yes'], { excludeSubmounts: true }],
  [['--exclude-file=off'], { excludeFile: false }],
  [['--undo-immutable=1'], { undoImmutable: true }],
  [['--delete=f'], { delete: false }],
  [['--delete=no', '--delete=yes'], {}],
  [['--punch-holes=no'], { punchHoles: false }],
  [['--reflink=no'], { reflink: false }],
  [['--hardlink=yes'], { hardlink: true }],
  [['--seed-output=no'], { seedOutput: false }],
  [['--uid-shift=yes'], SHIFT_ON],
  [['--uid-range=yes'], SHIFT_ON],
  [['--uid-shift=0x100'], { uidShift: { enabled: true, shift: 256, range: 65536 } }],
  [['--uid-range=10'], { uidShift: { enabled: true, shift: 0, range: 10 } }],
  [
    ['--uid-shift=010', '--uid-range=4294967296'],
    { uidShift: { enabled: true, shift: 8, range: 2 ** 32 } },
  ],
  [['--uid-shift=yes', '--uid-shift=no'], {}],
  [['--uid-shift=yes', '--uid-range=0'], {}],
  [['--recursive=no'], { recursive: false }],
  [['--mkdir=no'], { mkdir: false }],
  [['--digest=sha512-256'], { digest: 'sha512-256', mapDigest: 'sha512-256' }],
  [['--digest=sha512-256', '--digest=default'], {}],
  [['--config=a'], { config: 'a' }],
  [['--cache-store=a', '--to=b'], { cacheStore: 'a', to: 'b' }],
  [['--listen=[::1]:80', '--writable'], { listen: '[::1]:80', writable: true }],
  [['--token-file=a', '--access-log=b'], { tokenFile: 'a', accessLog: 'b' }],
  [
    ['--tls-certificate=a', '--tls-key=b', '--client-ca=c'],
    { tlsCertificate: 'a', tlsKey: 'b', clientCa: 'c' },
  ],
  [['--compression=xz'], { compression: 'xz' }],
  [['--compression=gzip', '--compression=default'], {}],
  [['--chunker=fastcdc'], { chunker: 'fastcdc' }],
  [['--sync=none'], { sync: 'none' }],
  [['--fsync'], { fsync: 'end' }],
  [['--fsync=batch'], { fsync: 'batch' }],
  [['--json'], { json: true }],
  [['--progress=json'], { progressDescriptor: 2 }],
  [['--read-cache=64M'], { readCache: 1 << 26 }],
  [['--offset=0', '--length=1.5K'], { offset: 0, length: 1536 }],
  [['--socket=a', '--export-name=b', '--cow=c'], { socket: 'a', exportName: 'b', cow: 'c' }],
  [['--progress=json:7', '--stats=json:8'], { progressDescriptor: 7, statsDescriptor: 8 }],
];

for (const [args, expected] of ROWS) {
  test(`${args.join(' ') || 'no option'} means what the contract says`, (t) => {
    t.deepEqual(changes(args), expected);
  });
}

const VARIABLES: readonly (readonly [Environment, readonly string[], Partial<Options>])[] = [
  [{ CASYNC_VERBOSE: '1' }, [], { verbose: true }],
  [{ CASYNC_VERBOSE: 'no' }, ['-v'], { verbose: true }],
  [{ CASYNC_VERBOSE: 'perhaps' }, [], {}],
  [{ CASYNC_LOG_LEVEL: 'crit' }, [], { logLevel: 2 }],
  [{ CASYNC_LOG_LEVEL: '7' }, ['-lerr'], { logLevel: 3, isLogLevelChosen: true }],
  [{ CASYNC_LOG_LEVEL: 'loud' }, [], {}],
  [{ CASYNC_DIGEST: 'sha512-256' }, [], { digest: 'sha512-256', mapDigest: 'sha512-256' }],
  [{ CASYNC_DIGEST: 'sha512-256' }, ['--digest=sha256'], { digest: 'sha256', mapDigest: 'sha256' }],
  [{ CASYNC_DIGEST: 'sha512-256' }, ['--digest=default'], {}],
  [{ CASYNC_DIGEST: 'default' }, [], {}],
  [{ CASYNC_DIGEST: '' }, [], {}],
];

for (const [environment, args, expected] of VARIABLES) {
  test(`${JSON.stringify(environment)} ${args.join(' ')}: options win over variables`, (t) => {
    t.deepEqual(changes(args, environment), expected);
  });
}

test('--jobs counts the main thread, which helps the others', (t) => {
  const context = (args: readonly string[]) => ({ options: optionsOf(args, {}) }) as Context;
  t.deepEqual(threadOption(context([])), {});
  t.deepEqual(threadOption(context(['--jobs=1'])), { threadCount: 0 });
  t.deepEqual(threadOption(context(['--jobs=5'])), { threadCount: 4 });
  t.like(workOptions(context(['--jobs=2'])), { threadCount: 1 });
});
