/** Makes the kinds of files that node:fs cannot make. Used by extraction; all of it needs koffi. */
import { PipelineError } from '../errors.ts';
import { check, libc, terminated } from './libc.node.ts';

const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;

/**
 * Makes a device node.
 * @param mode type (character or block device) and permission bits; the umask applies.
 * @throws PipelineError without subject; `UNSUPPORTED` without koffi
 */
export function makeNode(path: Uint8Array, mode: number, major: number, minor: number): void {
  make(path, mode, deviceNumber(BigInt(major), BigInt(minor)), 'device node');
}

/** Makes a named pipe. @param permissions permission bits; the umask applies. @throws as `makeNode` */
export function makeFifo(path: Uint8Array, permissions: number): void {
  make(path, S_IFIFO | permissions, 0n, 'fifo');
}

/** Makes a socket nobody listens on. @param permissions as in `makeFifo`. @throws as `makeNode` */
export function makeSocket(path: Uint8Array, permissions: number): void {
  make(path, S_IFSOCK | permissions, 0n, 'socket');
}

function make(path: Uint8Array, mode: number, device: bigint, kind: string): void {
  const step = `make ${kind}`;
  const c = libc();
  if (c === undefined)
    throw new PipelineError('UNSUPPORTED', { step, reason: `a ${kind} needs koffi` });
  check(c.mknod(terminated(path), mode, device), step);
}

/** Device number as the C library packs it. */
function deviceNumber(major: bigint, minor: bigint): bigint {
  const low = (minor & 0xffn) | ((major & 0xfffn) << 8n);
  return low | ((minor & 0xffffff00n) << 12n) | ((major & 0xfffff000n) << 32n);
}
