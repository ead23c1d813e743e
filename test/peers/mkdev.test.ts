/**
 * mkdev with a kernel that has network block devices, in a virtual machine: mkdev.sh attaches devices and
 * says what it sees, the tests look at what it has said. The machine runs once.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { findCommand, requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import {
  addOurCommand,
  findKernel,
  MACHINE_PROGRAMS,
  MachineFiles,
  runMachine,
} from '../helpers/virtual-machine.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 600_000;
const MIB = 1 << 20;
/** The last block of the image is not full. */
const TAIL = Buffer.from('the end, and no whole block');
const ROUNDED_SIZE = 9 * MIB + 512;
const UDEV_RULES = ['50-udev-default', '60-block', '60-persistent-storage'];

const kernel = findKernel();
const NEEDS = {
  root: true,
  commands: [...MACHINE_PROGRAMS, 'mkfs.ext4', 'casync'],
  conditions: { 'a kernel with network block devices (.ci/fetch-kernel)': kernel !== undefined },
};

/** A disk with one partition, which holds a file system. */
function makeDisk(folder: string): Buffer {
  const content = join(folder, 'content');
  mkdirSync(content);
  writeFileSync(join(content, 'greeting'), 'hello\n');
  const partition = join(folder, 'partition');
  writeFileSync(partition, '');
  truncateSync(partition, 8 * MIB);
  execFileSync('mkfs.ext4', ['-q', '-d', content, partition]);
  const table = Buffer.alloc(MIB);
  table[446 + 4] = 0x83;
  table.writeUInt32LE(MIB / 512, 446 + 8);
  table.writeUInt32LE((8 * MIB) / 512, 446 + 12);
  table.writeUInt16LE(0xaa55, 510);
  return Buffer.concat([table, readFileSync(partition), TAIL]);
}

async function makeData(folder: string): Promise<{ readonly digest: string }> {
  const disk = makeDisk(folder);
  const data = join(folder, 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'disk.img'), disk);
  writeFileSync(join(data, 'size'), String(disk.length));
  await succeed(runCasync(['make', join(data, 'disk.caibx'), join(data, 'disk.img')]));
  return { digest: createHash('sha256').update(disk).digest('hex') };
}

function machineFiles(data: string): MachineFiles {
  const files = new MachineFiles();
  addOurCommand(files);
  files.program(findCommand('casync') ?? '', '/usr/bin/casync-reference');
  files.program(findCommand('udevadm') ?? '', '/bin/udevadm');
  files.link('/lib/systemd/systemd-udevd', '/bin/udevadm');
  for (const rule of UDEV_RULES) files.copy(`/lib/udev/rules.d/${rule}.rules`);
  files.copy(join(PROJECT, 'udev/75-casync.rules'), '/lib/udev/rules.d/75-casync.rules');
  for (const name of ['passwd', 'group', 'nsswitch.conf']) files.copy(`/etc/${name}`);
  files.copy(join(import.meta.dirname, 'kernel-calls.cjs'), '/kernel-calls.cjs');
  files.copy(data, '/data');
  return files;
}

interface Seen {
  readonly digest: string;
  readonly values: ReadonlyMap<string, string>;
}

async function look(): Promise<Seen> {
  if (kernel === undefined) throw new Error('no kernel');
  const folder = makeTemporaryFolder();
  try {
    const { digest } = await makeData(folder);
    const script = readFileSync(join(import.meta.dirname, 'mkdev.sh'), 'utf8');
    const files = machineFiles(join(folder, 'data'));
    const text = await runMachine(files, { kernel, script, timeoutMs: TIMEOUT_MS });
    const lines = text.matchAll(/^@ (.*?): (.*)$/gm);
    return { digest, values: new Map([...lines].map(([, name, value]) => [name, value])) };
  } finally {
    removeTree(folder);
  }
}

let seen: Promise<Seen> | undefined;

/** What must have been seen; a function gets the digest of the image. */
type Expected = Readonly<Record<string, string | RegExp | ((digest: string) => string)>>;

function law(title: string, expected: Expected): void {
  test.serial(title, async (t) => {
    t.timeout(TIMEOUT_MS + 60_000);
    if (!requirement(t, NEEDS)) return;
    seen ??= look();
    const { digest, values } = await seen;
    t.log(...[...values].filter(([name]) => name in expected).map((pair) => pair.join(': ')));
    for (const [name, wanted] of Object.entries(expected)) {
      const value = values.get(name) ?? '(nothing)';
      if (wanted instanceof RegExp) t.regex(value, wanted, name);
      else t.is(value, typeof wanted === 'string' ? wanted : wanted(digest), name);
    }
  });
}

const whole = (digest: string): string => digest;
const ABSENT = /No such file or directory$/;

law('without devices one line says so, and what works without', {
  'kernel-without status': /^[1-9]/,
  'kernel-without output':
    /^Failed to open NBD device: No such file or directory \(.*casync serve-nbd.*\)$/,
});

law('without udev a friendly name is a link, which is gone in the end', {
  'without-udev output': 'Attached: /dev/early',
  'without-udev link': '/dev/nbd0',
  'without-udev digest': whole,
  'without-udev partitions': '/dev/nbd0p1',
  'without-udev status': '0',
  'without-udev last words': '',
  'without-udev left': /^ls: \/dev\/early: No such file or directory \/run\/casync:$/,
});

law('devices attached at the same time are different ones', {
  'first output': 'Attached: /dev/friend',
  'second output': 'Attached: /tmp/link',
  devices: 'nbd0 nbd1',
});

law('a device has the bytes of its blob, zeros to the end of the block, and cannot be written', {
  size: String(ROUNDED_SIZE),
  'read-only': '1',
  sector: '512',
  digest: whole,
  'second digest': whole,
  'bytes behind the end': '0',
});

law('a device is told to service managers when its names and partitions are there', {
  notified: /^READY=1 DEVICE=\/dev\/nbd[01]$/,
  'name file': 'friend',
  mounted: 'hello',
  'partition link': /^nbd[01]p1$/,
});

law('a device that is busy or absent is refused', {
  'busy status': /^[1-9]/,
  'busy output': /^Failed to open NBD device: .*Device or resource busy$/,
  'missing output': /^Failed to open NBD device: No such file or directory/,
});

law('SIGTERM takes device and link away and is a success', {
  'second status': '0',
  'second last words': '',
  'link left': ABSENT,
  detached: '0',
});

law('after SIGKILL device and friendly name are gone and can be used again', {
  killed: ABSENT,
  'again digest': whole,
  'again status': '0',
  'names left': '',
});

law('the link of a killed process is used again', {
  'renewed output': 'Attached: /tmp/stale',
  'renewed digest': whole,
});

law('who disconnects the device ends the program as umount does', {
  'renewed status': '0',
  'renewed left': ABSENT,
});

law('with --cow a file system can be written, and finds its changes again', {
  'writable read-only': '0',
  'writable status': '0',
  'rewritable content': 'changed hello',
  'rewritable status': '0',
  base: whole,
});

law('the original does the same, finds its name with our helper, and takes no device of ours', {
  'reference output': 'Attached: /dev/original',
  'reference size': String(ROUNDED_SIZE),
  'reference read-only': '1',
  'reference sector': '512',
  'reference digest': whole,
  'reference name file': 'original',
  'reference-busy output': 'Failed to open NBD device: Device or resource busy',
  'beside output': 'Attached: /dev/nbd1',
  'beside status': '0',
  'reference status': '0',
});
