/**
 * A virtual machine whose kernel has network block devices, for tests of what this machine's kernel may
 * lack. It is emulated, runs from memory, carries out one script and is gone.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { cpioArchive, file, folder, link } from './cpio.ts';
import { findCommand } from './requirements.ts';
import { makeTemporaryFolder, removeTree } from './temporary-folder.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
/** Where `.ci/fetch-kernel` unpacks a kernel, and where an installed one lies. */
const KERNEL_ROOTS = [join(PROJECT, '.cache/kernel'), '/'];

/** What a machine needs; for `requirement`. */
export const MACHINE_PROGRAMS = ['qemu-system-x86_64', 'busybox', 'udevadm'];

export interface Kernel {
  readonly image: string;
  /** `lib/modules/VERSION`. */
  readonly modules: string;
}

/** The newest kernel that has network block devices. */
export function findKernel(): Kernel | undefined {
  for (const root of KERNEL_ROOTS) {
    const versions = existsSync(join(root, 'lib/modules'))
      ? readdirSync(join(root, 'lib/modules'))
      : [];
    for (const version of versions.sort().reverse()) {
      const kernel = {
        image: join(root, 'boot', `vmlinuz-${version}`),
        modules: join(root, 'lib/modules', version),
      };
      if (existsSync(kernel.image) && findModule(kernel, 'nbd') !== undefined) return kernel;
    }
  }
  return undefined;
}

function findModule({ modules }: Kernel, name: string): string | undefined {
  const index = join(modules, 'kernel/drivers/block');
  return ['.ko', '.ko.xz']
    .map((ending) => join(index, `${name}${ending}`))
    .find((path) => existsSync(path));
}

function readModule(kernel: Kernel, name: string): Buffer {
  const path = findModule(kernel, name);
  if (path === undefined) throw new Error(`the kernel has no module ${name}`);
  if (path.endsWith('.ko')) return readFileSync(path);
  return execFileSync('xz', ['-dc', path], { maxBuffer: 1 << 26 });
}

/** What is in the machine's memory when it starts. */
export class MachineFiles {
  readonly #entries = new Map<string, ReturnType<typeof file>>();

  /** @param path absolute, in the machine */
  add(path: string, content: Uint8Array | string, permissions?: number): void {
    this.#add(path, (name) => file(name, content, permissions));
  }

  link(path: string, target: string): void {
    this.#add(path, (name) => link(name, target));
  }

  /** A file or folder of this machine, at the same or another path. */
  copy(from: string, to = from): void {
    const stats = lstatSync(from);
    if (stats.isSymbolicLink()) this.copy(realpathSync(from), to);
    else if (stats.isFile()) this.add(to, readFileSync(from), stats.mode & 0o777);
    else for (const name of readdirSync(from)) this.copy(join(from, name), join(to, name));
  }

  /** A program of this machine with all libraries that it is linked with. */
  program(path: string, to = path): void {
    this.copy(path, to);
    const libraries = execFileSync('sh', ['-c', 'ldd "$1" || true', 'sh', path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    for (const [library] of libraries.toString().matchAll(/\/\S+(?= \(0x)/g)) {
      if (!this.#entries.has(library)) this.copy(library);
    }
  }

  archive(): Buffer {
    return cpioArchive([...this.#entries.values()]);
  }

  #add(path: string, make: (name: string) => ReturnType<typeof file>): void {
    const parent = dirname(path);
    if (parent !== '/' && !this.#entries.has(parent)) this.#add(parent, folder);
    if (!this.#entries.has(path)) this.#entries.set(path, make(relative('/', path)));
  }
}

/** Our command as `casync`, as it is published, with the Node that runs this. */
export function addOurCommand(files: MachineFiles): void {
  // Makes sure that the bundles are current.
  execFileSync(process.execPath, [join(PROJECT, 'cli/casync.cjs'), '--version']);
  const to = '/opt/casync';
  for (const name of ['bundles.cjs', 'casync.cjs', 'compile-cache.cjs']) {
    files.copy(join(PROJECT, 'cli', name), join(to, 'cli', name));
  }
  for (const name of ['casync.cjs', 'worker.cjs']) {
    files.copy(join(PROJECT, 'dist', name), join(to, 'dist', name));
  }
  files.copy(join(PROJECT, 'package.json'), join(to, 'package.json'));
  const packages = readdirSync(join(PROJECT, 'node_modules/@koromix'));
  for (const name of ['koffi', ...packages.map((part) => `@koromix/${part}`)]) {
    const from = join(PROJECT, 'node_modules', name);
    for (const part of readdirSync(from)) {
      const isNeeded = !['doc', 'lib', 'vendor', 'musl_x64'].includes(part);
      if (isNeeded) files.copy(join(from, part), join(to, 'node_modules', name, part));
    }
  }
  // Node and the native part of koffi are linked with the same libraries.
  files.program(process.execPath, '/usr/bin/node');
  files.link('/usr/bin/env', '/bin/busybox');
  files.link('/usr/bin/casync', '/opt/casync/cli/casync.cjs');
}

export interface MachineOptions {
  readonly kernel: Kernel;
  /** Of sh; its standard output comes back. */
  readonly script: string;
  readonly timeoutMs: number;
}

const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root /mnt
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
exec </dev/null >/dev/ttyS0 2>&1
sh /script
poweroff -f
`;

/** Runs a script in a machine of its own. @throws Error with the console's text if it does not end */
export async function runMachine(files: MachineFiles, options: MachineOptions): Promise<string> {
  const { kernel, script, timeoutMs } = options;
  files.add('/init', INIT, 0o755);
  files.add('/script', script);
  files.add('/nbd.ko', readModule(kernel, 'nbd'));
  const busybox = findCommand('busybox');
  if (busybox !== undefined) files.program(realpathSync(busybox), '/bin/busybox');
  const scratch = makeTemporaryFolder();
  try {
    const initramfs = join(scratch, 'initramfs');
    writeFileSync(initramfs, files.archive());
    return await emulate(kernel.image, initramfs, timeoutMs);
  } finally {
    removeTree(scratch);
  }
}

function emulate(image: string, initramfs: string, timeoutMs: number): Promise<string> {
  const machine = ['-machine', 'pc', '-accel', 'tcg,thread=multi', '-cpu', 'Nehalem', '-smp', '1'];
  const rest = ['-m', '1536', '-nic', 'none', '-display', 'none', '-monitor', 'none', '-no-reboot'];
  const append = 'console=ttyS0 quiet loglevel=1 panic=-1 random.trust_cpu=on mitigations=off';
  const boot = ['-kernel', image, '-initrd', initramfs, '-append', append, '-serial', 'stdio'];
  return new Promise((fulfil, reject) => {
    const child = spawn('qemu-system-x86_64', [...machine, ...rest, ...boot], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => output.push(bytes));
    }
    const text = (): string => Buffer.concat(output).toString().replaceAll('\r\n', '\n');
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) fulfil(text());
      else reject(new Error(`the machine ended with ${signal ?? status}:\n${text()}`));
    });
  });
}
