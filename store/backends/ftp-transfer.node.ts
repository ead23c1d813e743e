/** What objects and files over FTP have in common: sizes, downloads, and files that appear whole. */
import { Readable, Writable } from 'node:stream';
import type { Client } from 'basic-ftp';
import { StorageError } from '../errors.ts';
import { replyCode, saysDenied } from './ftp-failure.node.ts';

/** A transfer can only be ended with its connection. What is left up to here is rather read. */
const MOST_READ_IN_VAIN = 256 * 1024;

/** Bytes of a file, undefined if the server has none of that name. */
export async function sizeOf(client: Client, path: string): Promise<number | undefined> {
  try {
    return await client.size(path);
  } catch (error) {
    if (replyCode(error) !== 550 || saysDenied(error)) throw error;
    return undefined;
  }
}

/** When a file was changed, undefined if the server does not tell such a thing. */
export async function timeOf(client: Client, path: string): Promise<Date | undefined> {
  try {
    return await client.lastMod(path);
  } catch (error) {
    if (replyCode(error) === undefined) throw error;
    return undefined;
  }
}

export interface FtpPart {
  readonly path: string;
  /** For messages. */
  readonly subject: string;
  readonly offset: number;
  /** Memory for exactly the part. */
  readonly bytes: Uint8Array;
  /** How much of the file lies behind the part. */
  readonly behind: number;
}

/** Reads a part of a file in full. @throws StorageError if the transfer ends early */
export async function downloadPart(client: Client, part: FtpPart): Promise<void> {
  const { path, subject, offset, bytes, behind } = part;
  let count = 0;
  const sink = new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      const room = Math.max(0, bytes.length - count);
      if (room > 0) bytes.set(chunk.subarray(0, room), count);
      count += chunk.length;
      if (count >= bytes.length && behind > MOST_READ_IN_VAIN) client.close();
      done();
    },
  });
  if (bytes.length === 0) return;
  try {
    await client.downloadTo(sink, path, offset);
  } catch (error) {
    if (count < bytes.length) throw error;
  }
  assertWhole(subject, count, bytes.length + behind, bytes.length);
}

/**
 * @param most the bytes that there are, `least` those that are wanted
 * @throws StorageError if the transfer was cut off, or is of another file
 */
export function assertWhole(subject: string, count: number, most: number, least = most): void {
  if (count >= least && count <= most) return;
  const reason = `the transfer ends after ${count} of ${least} bytes`;
  throw new StorageError('UNAVAILABLE', { subject, step: 'read', reason, retry: 'later' });
}

/** Sends all bytes as a new file, and looks whether all have arrived. */
export async function uploadWhole(
  client: Client,
  path: string,
  bytes: Uint8Array,
  subject: string,
): Promise<void> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  await client.uploadFrom(Readable.from(view.length === 0 ? [] : [view]), path);
  await assertArrived(client, path, bytes.length, subject);
}

/** @throws StorageError if the server has another number of bytes */
export async function assertArrived(
  client: Client,
  path: string,
  length: number,
  subject: string,
): Promise<void> {
  const size = await sizeOf(client, path);
  if (size === length) return;
  const reason = `${size ?? 0} of ${length} bytes have arrived`;
  throw new StorageError('UNAVAILABLE', { subject, step: 'store', reason, retry: 'later' });
}

/** Gives a file another name, in the place of what is there. */
export async function renameOver(client: Client, from: string, to: string): Promise<void> {
  try {
    await client.rename(from, to);
  } catch (error) {
    // Some servers do not replace.
    if (replyCode(error) === undefined || (await sizeOf(client, to)) === undefined) throw error;
    await client.remove(to);
    await client.rename(from, to);
  }
}

/** For what nobody reads. */
export async function removeQuietly(client: Client, path: string): Promise<void> {
  try {
    await client.remove(path);
  } catch {
    // It stays behind, as after a lost connection.
  }
}
