/**
 * The update installer RAUC for tests: bundles, its service on a private D-Bus, and slots on loop
 * devices. It finds our command, or the reference, as `casync` in its PATH.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { AS_ORDINARY_USER, ORDINARY_USER } from '../helpers/ordinary-user.ts';
import { CASYNC } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** What RAUC itself needs; also to convert bundles. */
export const RAUC_COMMANDS: readonly string[] = [
  ...['casync', 'rauc', 'mksquashfs', 'unsquashfs', 'openssl', 'fakeroot', 'tar'],
];
/** What it takes to install. */
export const INSTALL_COMMANDS: readonly string[] = [
  ...RAUC_COMMANDS,
  ...['dbus-daemon', 'losetup', 'mkfs.ext4', 'mount', 'umount'],
];

export type Program = 'ours' | 'reference';

/** Bytes of a slot; more than an image has. */
const SLOT_BYTES = 24 * 1024 * 1024;

/** A folder with key, certificate and the content of a bundle: an image and a tar file. */
export interface Workshop {
  readonly folder: string;
  readonly image: Uint8Array;
  /** Runs a shell script in the folder; `casync` is the program. @throws with what it printed */
  run(program: Program, script: string): string;
  /** Command lines that our command was called with. */
  calls(): readonly string[];
}

const PREPARE = `
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /O=Test/CN=rauc -days 90
mkdir tree
cp -a /usr/share/perl5/Debconf tree/
: > 'tree/empty file'
chmod 4755 tree/Debconf/Db.pm
ln -s Debconf/Db.pm tree/link
fakeroot sh -ec 'chown -R 1000:100 tree/Debconf/Element; mknod tree/null c 1 3; tar cf content/app.tar -C tree .'
`;

/** Prepares bundles of a format. @param asUser RAUC runs as an ordinary user */
export function openWorkshop(
  t: ExecutionContext,
  format: 'plain' | 'verity',
  asUser = false,
): Workshop {
  const folder = join(temporaryFolder(t), 'w');
  mkdirSync(join(folder, 'content'), { recursive: true });
  mkdirSync(join(folder, 'tmp'));
  const image = Buffer.concat([noise(8_000_000), new Uint8Array(1_000_000), noise(500_000, 7)]);
  writeFileSync(join(folder, 'content/rootfs.img'), image);
  writeFileSync(join(folder, 'content/manifest.raucm'), manifest(format));
  writeFileSync(join(folder, 'calls'), '');
  putOnPath(folder);
  execFileSync('sh', ['-ec', PREPARE], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  if (asUser) {
    chmodSync(join(folder, '..'), 0o755);
    execFileSync('chown', ['-R', `${ORDINARY_USER}:${ORDINARY_USER}`, folder]);
  }
  return {
    folder,
    image,
    run: (program, script) => runScript(folder, program, script, asUser),
    calls: () => readFileSync(join(folder, 'calls'), 'utf8').split('\n').filter(Boolean),
  };
}

function manifest(format: string): string {
  return [
    ...['[update]', 'compatible=test', 'version=1', '', '[bundle]', `format=${format}`, ''],
    ...['[image.rootfs]', 'filename=rootfs.img', '', '[image.app]', 'filename=app.tar', ''],
  ].join('\n');
}

/** Our command under the name `casync`, which notes what it is called with. */
function putOnPath(folder: string): void {
  const file = join(folder, 'bin/casync');
  mkdirSync(join(folder, 'bin'));
  const lines = [
    '#!/bin/sh',
    `echo "casync $*" >>${folder}/calls`,
    `exec ${process.execPath} ${CASYNC} "$@"`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o755 });
}

function environmentOf(folder: string, program: Program): NodeJS.ProcessEnv {
  const path = process.env.PATH ?? '';
  return {
    PATH: program === 'ours' ? [join(folder, 'bin'), path].join(delimiter) : path,
    TMPDIR: join(folder, 'tmp'),
    // So that both make the same.
    CASYNC_DIGEST: 'sha512-256',
    LC_ALL: 'C',
  };
}

function runScript(folder: string, program: Program, script: string, asUser: boolean): string {
  const [file, ...args] = [
    ...(asUser ? AS_ORDINARY_USER : []),
    'bash',
    '-ec',
    `exec 2>&1; ${script}`,
  ];
  try {
    return execFileSync(file, args, {
      cwd: folder,
      env: environmentOf(folder, program),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    throw new Error(`${script}: ${(error as { stdout?: string }).stdout}`);
  }
}

/** Two sets of slots on loop devices, of which the first is the running system. */
export interface Machine {
  /** Device of the inactive image slot. */
  readonly imageSlot: string;
  /** Runs RAUC's installation. @throws with its log */
  install(program: Program, bundle: string, store: string): Promise<void>;
  /** Calls `look` with the folder of the inactive tree slot. */
  withTreeSlot<Result>(look: (folder: string) => Result): Result;
}

/** @param oldImage what the running system's image slot holds */
export function openMachine(
  t: ExecutionContext,
  { folder }: Workshop,
  oldImage: Uint8Array,
): Machine {
  const slot = (name: string, content: Uint8Array): string => {
    const file = join(folder, name);
    writeFileSync(file, content);
    truncateSync(file, SLOT_BYTES);
    const device = execFileSync('losetup', ['--show', '-f', file], { encoding: 'utf8' }).trim();
    t.teardown(() => void execFileSync('losetup', ['-d', device]));
    return device;
  };
  const filled = new Uint8Array(SLOT_BYTES).fill('x'.charCodeAt(0));
  const images = [slot('image0', oldImage), slot('image1', filled)] as const;
  const trees = [slot('tree0', new Uint8Array(0)), slot('tree1', new Uint8Array(0))] as const;
  execFileSync('mkfs.ext4', ['-q', trees[0]]);
  mkdirSync(join(folder, 'mounts'));
  const install = async (program: Program, bundle: string, store: string): Promise<void> => {
    writeFileSync(join(folder, 'system.conf'), systemConf(folder, store, images, trees));
    const bus = await openBus(folder);
    const environment = {
      ...environmentOf(folder, program),
      DBUS_STARTER_BUS_TYPE: 'session',
      DBUS_SESSION_BUS_ADDRESS: bus.address,
      DBUS_STARTER_ADDRESS: bus.address,
    };
    try {
      await runInstallation(folder, bundle, environment);
    } finally {
      await ended(bus.process);
    }
  };
  return {
    imageSlot: images[1],
    install,
    withTreeSlot(look) {
      const place = join(folder, 'looked-at');
      mkdirSync(place, { recursive: true });
      execFileSync('mount', ['-o', 'ro', trees[1], place]);
      try {
        return look(place);
      } finally {
        execFileSync('umount', [place]);
      }
    },
  };
}

function systemConf(
  folder: string,
  store: string,
  images: readonly [string, string],
  trees: readonly [string, string],
): string {
  const set = (number: 0 | 1, name: string): string[] => [
    ...[`[slot.rootfs.${number}]`, `device=${images[number]}`, 'type=raw', `bootname=${name}`, ''],
    ...[`[slot.app.${number}]`, `device=${trees[number]}`, 'type=ext4'],
    ...[`parent=rootfs.${number}`, ''],
  ];
  return [
    ...['[system]', 'compatible=test', 'bootloader=noop', `mountprefix=${folder}/mounts`],
    ...[`statusfile=${folder}/status`, '', '[keyring]', 'path=cert.pem', ''],
    ...['[casync]', `storepath=${store}`, `tmppath=${folder}/tmp`, ''],
    ...set(0, 'A'),
    ...set(1, 'B'),
  ].join('\n');
}

interface Bus {
  readonly process: ChildProcess;
  readonly address: string;
}

function openBus(folder: string): Promise<Bus> {
  rmSync(join(folder, 'bus'), { force: true });
  const words = ['--session', '--nofork', '--print-address=1', `--address=unix:path=${folder}/bus`];
  const child = spawn('dbus-daemon', words, { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout?.once('data', (text) => resolve({ process: child, address: `${text}`.trim() }));
  });
}

function ended(child: ChildProcess): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  const end = new Promise((resolve) => child.once('close', resolve));
  child.kill();
  return end;
}

/** The service does the work; `rauc install` asks it to, and waits. */
async function runInstallation(
  folder: string,
  bundle: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const start = (words: readonly string[]): { child: ChildProcess; log: () => string } => {
    const child = spawn('rauc', ['-c', 'system.conf', ...words], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part) => (text += part));
    return { child, log: () => text };
  };
  const service = start(['service', '--override-boot-slot=A']);
  try {
    for (let tries = 0; !isRegistered(env) && tries < 100; tries++) {
      if (service.child.exitCode !== null) throw new Error(`no service: ${service.log()}`);
    }
    const client = start(['install', bundle]);
    const status = await new Promise((resolve) => client.child.once('close', resolve));
    if (status !== 0) throw new Error(`rauc install: ${client.log()}\n${service.log()}`);
  } finally {
    await ended(service.child);
  }
}

const NAME = 'de.pengutronix.rauc';

function isRegistered(env: NodeJS.ProcessEnv): boolean {
  const question = ['--session', '--print-reply', '--dest=org.freedesktop.DBus', '/'];
  const call = ['org.freedesktop.DBus.NameHasOwner', `string:${NAME}`];
  const answer = execFileSync('dbus-send', [...question, ...call], { env, encoding: 'utf8' });
  return answer.includes('boolean true');
}

/** Whether the kernel can mount what bundles are made of. */
export function hasSquashfs(): boolean {
  return (
    existsSync('/proc/filesystems') && /squashfs/.test(readFileSync('/proc/filesystems', 'utf8'))
  );
}
