/** The benchmark works end to end: small data, whole commands, verified results. No times. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { BenchResult } from '../../bench/result.ts';
import { allScenarios } from '../../bench/rows.ts';
import { NGINX_NEEDS } from '../helpers/nginx.ts';
import { GATEWAY_COMMANDS } from '../helpers/radosgw.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 240_000;

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly out: string;
  readonly work: string;
}

interface RunOptions {
  /** Sent as soon as this text is in standard error. */
  readonly interruptAt?: string;
  /** Let the benchmark choose its folder. */
  readonly usualFolder?: boolean;
}

function bench(
  t: ExecutionContext,
  words: readonly string[],
  { interruptAt, usualFolder }: RunOptions = {},
): Promise<Run> {
  t.timeout(TIMEOUT_MS);
  const [out, work] = [temporaryFolder(t), temporaryFolder(t)];
  const places = usualFolder ? [`--out=${out}`] : [`--out=${out}`, `--work=${work}`];
  const program = ['--import=tsx', 'bench/main.ts', ...places, ...words];
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, program, { cwd: PROJECT });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (piece: string) => {
        output[name] += piece;
        if (interruptAt !== undefined && output.stderr.includes(interruptAt)) child.kill('SIGINT');
      });
    }
    child.on('error', fail);
    child.on('close', (status) => done({ status, ...output, out, work }));
  });
}

function resultOf({ out }: Run): BenchResult {
  return JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
}

const SPOIL_INDEX = `printf x >> "\${words[1]}"`;
const SPOIL_OUTPUT = `printf x >> "\${words[2]}"`;

/** A program with the command line of casync that runs ours, and spoils what that makes or is asked. */
function spoiler(
  t: ExecutionContext,
  verb: string,
  spoil: string,
  when: 'before' | 'after' = 'after',
): string {
  const path = join(temporaryFolder(t), 'spoiler');
  const run = `"${process.execPath}" "${CASYNC}" "$@" || exit`;
  const spoiling = `if [ "\${words[0]}" = ${verb} ]; then ${spoil}; fi`;
  const lines = [
    '#!/bin/bash',
    // Options, then: verb, output or index, input or target.
    'words=()',
    'for word; do [[ $word == --* ]] || words+=("$word"); done',
    ...(when === 'after' ? [run, spoiling] : [spoiling, run]),
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  chmodSync(path, 0o755);
  return path;
}

test.serial('all rows run, with results like those of casync', async (t) => {
  if (!requirement(t, { commands: ['casync', 'taskset'] })) return;
  const wanted = allScenarios(availableParallelism())
    .filter(({ steps }) => steps.every(({ server, reading }) => !server && !reading))
    .flatMap(({ steps }) => steps);
  const rows = `--rows=${wanted.map(({ row }) => row).join()}`;
  const run = await bench(t, ['--quick', '--peers=casync', rows], { usualFolder: true });
  t.is(run.status, 0, run.stderr);
  const result = resultOf(run);
  t.deepEqual(
    result.rows.map(({ id }) => id),
    wanted.map(({ row }) => row),
  );
  for (const { id, measurements } of result.rows) {
    t.deepEqual(
      measurements.map(({ contestant, samples, failure }) => [contestant, samples.length, failure]),
      [
        ['ours', 1, undefined],
        ['casync', 1, undefined],
      ],
      id,
    );
  }
  t.deepEqual(readdirSync(run.out).sort(), [
    'results.json',
    'results.md',
    'results.svg',
    'scaling.svg',
  ]);
  t.true(run.stdout.includes('| image-make '));
  const [, folder = ''] = /^in (\S+) /.exec(run.stderr) ?? [];
  t.true(folder.includes('casync-bench-') && !existsSync(folder), folder);
});

test.serial('rows of remote stores start their servers, and end them', async (t) => {
  const commands = ['casync', ...(NGINX_NEEDS.commands ?? []), ...GATEWAY_COMMANDS];
  if (!requirement(t, { ...NGINX_NEEDS, commands })) return;
  const words = ['--quick', '--rows=http,s3', '--peers=casync,download'];
  const run = await bench(t, words, { usualFolder: true });
  t.is(run.status, 0, run.stderr);
  t.deepEqual(
    resultOf(run).rows.map(({ id, measurements }) => [
      id,
      measurements.map(({ contestant }) => contestant).join(),
    ]),
    [
      ['http-store', 'ours,casync'],
      ['http-local', 'ours,casync'],
      ['http-extract', 'ours,casync'],
      ['http-extract-20ms', 'ours'],
      ['http-store-256M', 'ours,casync'],
      ['http-extract-20ms-256M', 'ours,casync'],
      ['http-make', 'ours'],
      ['s3-make', 'ours,download'],
      ['s3-extract', 'ours,download'],
    ],
  );
});

const SERVED_ROWS = ['mount-read', 'mount-readers', 'mount-random', 'mount-find', 'nbd-copy'];
const NBD_COMMANDS = ['nbdcopy', 'nbdinfo', 'qemu-nbd'];

/** Mount points of the benchmark. */
function mountsOf(): readonly string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.includes('/turn/served '));
}

test.serial('what is mounted and what is a block device has the right content', async (t) => {
  const isThere = { '/dev/fuse': existsSync('/dev/fuse') };
  const needs = { root: true, commands: ['casync', ...NBD_COMMANDS], conditions: isThere };
  if (!requirement(t, needs)) return;
  const words = ['--quick', `--rows=${SERVED_ROWS}`, '--peers=casync,qemu-nbd'];
  const run = await bench(t, words, { usualFolder: true });
  t.is(run.status, 0, run.stderr);
  t.deepEqual(
    resultOf(run).rows.map(({ id, measurements }) => [
      id,
      measurements.map(({ contestant }) => contestant).join(),
    ]),
    SERVED_ROWS.map((row) => [row, row === 'nbd-copy' ? 'ours,qemu-nbd' : 'ours,casync']),
  );
  t.deepEqual(mountsOf(), []);
});

test.serial('a mount with other content fails the run, and is gone', async (t) => {
  const isThere = { '/dev/fuse': existsSync('/dev/fuse') };
  if (!requirement(t, { root: true, commands: ['casync'], conditions: isThere })) return;
  const other = `mount -t tmpfs other "\${words[2]}"; echo x > "\${words[2]}/image"; exec sleep 99`;
  const casync = spoiler(t, 'mount', other, 'before');
  const words = ['--quick', '--rows=mount-read', '--peers=casync', '--peer', `casync=${casync}`];
  const run = await bench(t, words);
  t.is(run.status, 1, run.stderr);
  t.regex(run.stderr, /FAILED: mount-read: casync: cmp .* -> 1: /);
  t.deepEqual(mountsOf(), []);
  t.deepEqual(readdirSync(run.work), []);
});

test.serial('every other program that is installed does its rows', async (t) => {
  const words = ['--quick', '--rows=changed,tiny', '--scale=0.001'];
  const run = await bench(t, words, { usualFolder: true });
  t.is(run.status, 0, run.stderr);
  const result = resultOf(run);
  t.log(result.contestants.map(({ name, version }) => `${name} ${version}`).join(', '));
  for (const { name } of result.contestants) {
    // Are compared with in rows of their own.
    if (name === 'download' || name === 'qemu-nbd') continue;
    t.true(result.rows.some((row) => row.measurements.some((one) => one.contestant === name)));
  }
});

test.serial('a wrong index fails the run', async (t) => {
  const casync = spoiler(t, 'make', SPOIL_INDEX);
  const words = ['--quick', '--rows=small', '--peers=casync', '--peer', `casync=${casync}`];
  const run = await bench(t, words);
  t.is(run.status, 1, run.stderr);
  t.regex(
    run.stdout,
    /## Failed\n\n- small-make: casync: its index is not the same as that of ours/,
  );
  t.regex(run.stdout, /\| small-make +\| +0\.\d+ \| +FAILED \|/);
});

test.serial('a wrong output fails the run', async (t) => {
  const casync = spoiler(t, 'extract', SPOIL_OUTPUT);
  const words = ['--quick', '--rows=zeros', '--peers=casync', '--peer', `casync=${casync}`];
  const run = await bench(t, words);
  t.is(run.status, 1, run.stderr);
  t.regex(run.stderr, /FAILED: zeros-extract: casync: .* bytes instead of/);
});

test.serial('a failing command fails the run, and says why', async (t) => {
  const casync = spoiler(t, 'make', 'echo "out of luck" >&2; exit 7');
  const words = ['--quick', '--rows=small', '--peers=casync', '--peer', `casync=${casync}`];
  const run = await bench(t, words);
  t.is(run.status, 1, run.stderr);
  t.regex(run.stderr, /FAILED: small-make: casync: .* -> 7: out of luck/);
});

test.serial('an interrupted run leaves nothing behind', async (t) => {
  const words = ['--quick', '--rounds=1000', '--rows=small', '--peers='];
  const run = await bench(t, words, { interruptAt: 'small-make round 2' });
  t.is(run.status, 130, run.stderr);
  t.deepEqual(readdirSync(run.work), []);
  t.deepEqual(readdirSync(run.out), []);
});

test.serial('data that is kept is used again', async (t) => {
  const words = ['--quick', '--rows=small', '--peers=', '--keep'];
  const folder = temporaryFolder(t);
  const first = await bench(t, [...words, `--work=${folder}`]);
  const second = await bench(t, [...words, `--work=${folder}`]);
  t.true(first.stderr.includes('making small'));
  t.false(second.stderr.includes('making small'));
  t.is(second.status, 0, second.stderr);
});

test.serial('a result can be reported again', async (t) => {
  const words = ['--quick', '--rows=small', '--peers='];
  const first = await bench(t, words);
  const again = await bench(t, [`--from=${join(first.out, 'results.json')}`]);
  t.is(again.stdout, first.stdout);
  t.deepEqual(resultOf(again), resultOf(first));
});

test.serial('what cannot be asked for is said in one line', async (t) => {
  for (const [word, message] of [
    ['--rows=nothing', 'bench: no row "nothing"'],
    ['--peers=rsync', 'bench: no peer "rsync"'],
    ['--peer=desync=/no/such', 'bench: desync is not at /no/such'],
  ] as const) {
    const run = await bench(t, ['--quick', word]);
    t.is(run.status, 2);
    t.true(run.stderr.startsWith(message), run.stderr);
  }
});
