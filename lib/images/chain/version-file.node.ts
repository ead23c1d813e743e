/** The files of versions (spec/formats/version.md). Used by everything about version chains. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { equalBytes } from '../../../formats/bytes.ts';
import { about, FormatError } from '../../../formats/errors.ts';
import {
  decodeVersionHead,
  lastingBytes,
  readVersionDigests,
  readVersionRuns,
  VERSION_CHECKSUM_LENGTH,
  VERSION_HEAD_LENGTH,
  type VersionFacts,
  type VersionHead,
  type VersionRun,
  versionIdOf,
  versionLength,
} from '../../../formats/version.ts';
import { attempt } from '../../../store/backends/durable-write.node.ts';
import { systemErrorCode } from '../../../store/system-error.node.ts';
import { readFully } from '../../os/read.node.ts';

const PART_LENGTH = 1024 * 1024;

/** A version that is in a chain. */
export interface ChainVersion extends VersionHead {
  /** 16 hex digits. */
  readonly id: string;
  readonly path: string;
  /** Bytes of its file. */
  readonly fileBytes: number;
}

export function idOf(facts: VersionFacts): string {
  return versionIdOf(createHash('sha256').update(lastingBytes(facts)).digest());
}

/** What is at a path: undefined if nothing is. @throws FormatError | StorageError about it */
export function readVersionFile(path: string, id: string): ChainVersion | undefined {
  let file: number;
  try {
    file = fs.openSync(path, 'r');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    return attempt(path, 'open', () => {
      throw error;
    });
  }
  try {
    const { size } = fs.fstatSync(file);
    const head = decodeVersionHead(readAt(file, path, 0, Math.min(size, VERSION_HEAD_LENGTH)));
    if (size !== versionLength(head)) {
      throw new FormatError('version', 'HEAD', 96, 'the file has another length');
    }
    if (idOf(head) !== id) throw new FormatError('version', 'HEAD', 8, 'named by another id');
    return { ...head, id, path, fileBytes: size };
  } catch (error) {
    throw about(path, error);
  } finally {
    fs.closeSync(file);
  }
}

/** The blocks that a version does not take from its parent. @throws FormatError */
export function ownRuns(version: ChainVersion): Generator<VersionRun> {
  return reading(version, (read) => readVersionRuns(version, read));
}

/** Their digests, without those of zeros, in parts. @throws FormatError */
export function ownDigests(version: ChainVersion): Generator<Uint8Array> {
  return reading(version, (read) => readVersionDigests(version, read));
}

/** What of the file of a version is read, in parts. @throws FormatError | StorageError about the file */
export function* reading<Part>(
  version: ChainVersion,
  parts: (read: (offset: number, length: number) => Uint8Array) => Iterable<Part>,
): Generator<Part> {
  const { path } = version;
  const file = attempt(path, 'open', () => fs.openSync(path, 'r'));
  try {
    checkFile(file, version);
    yield* parts((offset, length) => readAt(file, path, offset, length));
  } catch (error) {
    throw about(path, error);
  } finally {
    fs.closeSync(file);
  }
}

/** @throws FormatError if the file ends before */
export function readAt(file: number, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const read = attempt(path, 'read', () => readFully(file, bytes, offset));
  if (read === length) return bytes;
  throw new FormatError('version', 'FILE', offset + read, 'the file ends');
}

/** @throws FormatError if the checksum at the end is another one */
export function checkFile(file: number, { path, fileBytes }: ChainVersion): void {
  const hash = createHash('sha256');
  const end = fileBytes - VERSION_CHECKSUM_LENGTH;
  for (let offset = 0; offset < end; offset += PART_LENGTH) {
    hash.update(readAt(file, path, offset, Math.min(PART_LENGTH, end - offset)));
  }
  const stated = readAt(file, path, end, VERSION_CHECKSUM_LENGTH);
  if (equalBytes(new Uint8Array(hash.digest()), stated)) return;
  throw new FormatError('version', 'CHECKSUM', end, 'the checksum differs');
}
