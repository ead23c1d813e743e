/** Small images for tests of deltas, and deltas between them. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type DeltaOptions, type DeltaResult, delta } from '../../../../lib/api/delta.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { createRandom, type Random } from '../../../helpers/simulated-disk.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

export const BLOCK = 4096;

/** Bytes in which some blocks are zeros. */
export function imageOf(random: Random, size: number): Buffer {
  const image = Buffer.from(noise(size, random(1 << 30)));
  for (let at = 0; at < size; at += BLOCK)
    if (random(4) === 0) image.fill(0, at, Math.min(at + BLOCK, size));
  return image;
}

/** The same with some blocks changed, the first and the last among them, of another length. */
export function changedImage(random: Random, before: Buffer, size = before.length): Buffer {
  const image = Buffer.alloc(size);
  before.copy(image);
  const other = imageOf(random, size);
  for (let at = 0; at < size; at += BLOCK) {
    const isNew = at + BLOCK > before.length && random(3) > 0;
    if (isNew || random(8) === 0) other.copy(image, at, at, at + BLOCK);
  }
  for (const at of new Set([0, size - 1])) if (image[at] === before[at]) image[at] += 1;
  return image;
}

/** A folder with files of these contents. */
export class DeltaFolder {
  readonly path: string;

  constructor(t: ExecutionContext<unknown>) {
    this.path = temporaryFolder(t);
  }

  at(name: string): string {
    return join(this.path, name);
  }

  write(name: string, content: Uint8Array): string {
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  read(name: string): Buffer {
    return readFileSync(this.at(name));
  }

  /** Makes a delta of that name. */
  async delta(
    name: string,
    base: string,
    source: string,
    options: Partial<DeltaOptions> = {},
  ): Promise<DeltaResult> {
    return delta({
      base: this.at(base),
      input: this.at(source),
      output: this.at(name),
      chunking: 'fixed',
      threadCount: 0,
      ...options,
    });
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export { createRandom };
