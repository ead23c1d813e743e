/**
 * The note beside a base that is being patched in place: which deltas, and what they are applied to. As
 * long as it is there, blocks may be neither old nor new, and the same deltas may go over them again
 * (spec/formats/delta.md, "Patching in place").
 */
import { createHash } from 'node:crypto';
import { fstatSync, mkdirSync, readFileSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  openDurableFile,
  syncFolder,
  writeFully,
} from '../../../store/backends/durable-write.node.ts';
import { PipelineError } from '../../errors.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { bindingOf } from '../destination/binding.node.ts';
import { mapPathOf } from '../destination/map-place.node.ts';
import type { OpenedDestination } from '../destination/opened-destination.ts';
import type { DeltaReader } from './delta-reader.node.ts';

const FIRST_LINE = 'casync patch 1';
const SUFFIX = '.patching';
const MODE = 0o600;

/** What several deltas are called together. */
export function identityOf(files: readonly Pick<DeltaReader, 'identity'>[]): string {
  const hash = createHash('sha256');
  for (const { identity } of files) hash.update(identity);
  return hash.digest('hex');
}

export class PatchState {
  readonly #path: string;
  readonly #label: string;
  readonly #content: string;
  /** Whether these deltas were being applied here when a run was cut off. */
  readonly isResumed: boolean;

  /**
   * @param identity of the deltas
   * @throws PipelineError `UNSAFE_TARGET` if others were being applied
   */
  constructor(destination: OpenedDestination, identity: string) {
    const map = mapPathOf('auto', destination) ?? destination.path;
    this.#path = map.replace(/\.caibx$/, '') + SUFFIX;
    this.#label = destination.label;
    this.#content = `${FIRST_LINE}\n${identity}\n${whatItIs(destination)}\n`;
    this.isResumed = this.#find();
  }

  /** The note is on disk when this resolves; the base may be written to then. */
  async begin(): Promise<void> {
    if (this.isResumed) return;
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
    } catch (error) {
      throw systemFailure('create', error, dirname(this.#path));
    }
    const file = openDurableFile(this.#path, { mode: MODE });
    try {
      writeFully(file.descriptor, Buffer.from(this.#content));
      await file.commit({ sync: true });
    } catch (error) {
      file.discard();
      throw systemFailure('write', error, this.#path);
    }
  }

  /** All is done, and on disk. */
  async end(): Promise<void> {
    try {
      unlinkSync(this.#path);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw systemFailure('remove', error, this.#path);
    }
  }

  #find(): boolean {
    let found: string;
    try {
      found = readFileSync(this.#path, 'latin1');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw systemFailure('read', error, this.#path);
    }
    if (found === this.#content) return true;
    const [, , which] = found.split('\n');
    // A file of another inode has taken the place of the one that was being patched.
    if (which !== undefined && which !== this.#content.split('\n')[2]) return false;
    const reason =
      'another patch was cut off here; run that one again, or remove ' +
      `${this.#path} if the content does not matter`;
    throw new PipelineError('UNSAFE_TARGET', { subject: this.#label, step: 'patch', reason });
  }
}

function whatItIs(destination: OpenedDestination): string {
  if (destination.kind === 'device') return JSON.stringify(bindingOf(destination).identity);
  const { ino, birthtimeNs } = fstatSync(destination.create(), { bigint: true });
  return `${ino}.${birthtimeNs}`;
}
