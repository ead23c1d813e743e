/**
 * Reads stretches of a tree's archive into shared memory and cuts them into chunks, where the spans
 * alone do not say enough. Used by the encoder cache and by directories as seeds.
 */

import { escapeBytes } from '../../formats/escape.ts';
import { PipelineError } from '../errors.ts';
import type { ErrorMessage } from '../work/error-message.ts';
import {
  type CutSpansInput,
  RANGE_COLUMNS,
  type StretchFiles,
} from '../work/jobs/cut-spans.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import type { SegmentRing } from '../work/segment-ring.ts';
import { IDENTITY_LENGTH } from './file-identity.ts';
import { type ContentReference, nameOf, pathOf } from './held-folder.node.ts';
import type { ContentRange, SpanWindow } from './span-window.node.ts';

export interface SpanCutterOptions {
  readonly window: SpanWindow;
  /** Descriptor of the tree's root. */
  readonly root: number;
  /** Its slots bound what is read at a time; they hold {@link stretchLength} at least. */
  readonly ring: SegmentRing;
  /** Where files are read. Its chunker cuts. */
  readonly pool: JobPool;
  readonly longestChunk: number;
  readonly unreadable: CutSpansInput['unreadable'];
}

/** Chunks that follow one another in memory; the first one begins where the window did. */
export interface Stretch {
  /** In the memory of the ring; released by whoever takes the stretch. */
  readonly address: number;
  /** Ends of the chunks, relative to the stretch; at least one. */
  readonly ends: Uint32Array;
  /** Files that are not, or did not stay, what the spans say of them. */
  readonly changed: readonly ContentReference[];
}

/** Bytes of a stretch if there is much to read. */
const LONGEST_STRETCH = 4 * 1024 * 1024;
/** Bytes that the chunker needs to see a chunk. */
const SMALLEST_WINDOW = 48;

/** Bytes that a stretch has at most. */
export function stretchLength(longestChunk: number): number {
  return Math.max(LONGEST_STRETCH, longestChunk, SMALLEST_WINDOW);
}

export class SpanCutter {
  readonly #options: SpanCutterOptions;
  readonly #shortest: number;
  readonly #longest: number;
  #next: number;

  constructor(options: SpanCutterOptions) {
    this.#options = options;
    this.#shortest = Math.max(options.longestChunk, SMALLEST_WINDOW);
    this.#longest = stretchLength(options.longestChunk);
    this.#next = this.#shortest;
  }

  /** Says that the next stretch need not be long, because what follows it may be known. */
  beginAnew(): void {
    this.#next = this.#shortest;
  }

  /**
   * Reads what the window begins with. The window stays where it is. Stretches become longer from call
   * to call.
   * @param onBegun called when reading has begun
   * @throws PipelineError `SOURCE_CHANGED` with the path below the root, if a content cannot be read,
   * whatever the reason: when its entry was read, it could
   */
  async cut(onBegun?: () => void): Promise<Stretch> {
    const { window, ring, pool, longestChunk, unreadable } = this.#options;
    await window.fill(this.#next);
    const length = Math.min(this.#next, window.available);
    this.#next = Math.min(2 * this.#next, this.#longest);
    const address = await ring.acquire();
    const ranges = this.#place(address, length);
    const isEnd = window.isComplete && length === window.available;
    const files = filesOf(this.#options.root, ranges);
    const input = { address, length, isEnd, longestChunk, unreadable, files };
    const cutting = pool.run('cutSpans', input);
    onBegun?.();
    try {
      const { ends, changed, failure } = await cutting;
      const references = ranges.map(({ range }) => range.reference);
      if (failure !== undefined) {
        throw contentLost(references[failure.file], failure.error);
      }
      return { address, ends, changed: Array.from(changed, (file) => references[file]) };
    } catch (error) {
      ring.release(address);
      throw error;
    }
  }

  /** Puts inline bytes into the slot. @returns what is still to be read */
  #place(address: number, length: number): readonly PlacedRange[] {
    const { window, ring } = this.#options;
    const ranges: PlacedRange[] = [];
    let position = address;
    for (const part of window.parts(length)) {
      if (part instanceof Uint8Array) ring.write(position, part);
      else ranges.push({ range: part, address: position });
      position += part.length;
    }
    return ranges;
  }
}

interface PlacedRange {
  readonly range: ContentRange;
  readonly address: number;
}

/** Columns, because objects would take longer on their way than the files take to read. */
function filesOf(root: number, placed: readonly PlacedRange[]): StretchFiles {
  const ranges = new Float64Array(placed.length * RANGE_COLUMNS);
  const identities = new Uint8Array(placed.length * IDENTITY_LENGTH);
  const paths: Uint8Array[] = [];
  for (const [i, { range, address }] of placed.entries()) {
    paths.push(pathOfContent(range.reference), NUL);
    identities.set(range.reference.identity, i * IDENTITY_LENGTH);
    ranges.set([range.offset, range.length, address], i * RANGE_COLUMNS);
  }
  return { root, ranges, identities, paths: new Uint8Array(Buffer.concat(paths)) };
}

const NUL = Uint8Array.of(0);

/** Path of a file below the root. */
export function pathOfContent({ folder, number }: ContentReference): Uint8Array {
  return pathOf(folder, nameOf(folder, number));
}

function contentLost(reference: ContentReference, { step, reason }: ErrorMessage): PipelineError {
  const parts = { subject: escapeBytes(pathOfContent(reference)), reason };
  return new PipelineError('SOURCE_CHANGED', step === undefined ? parts : { ...parts, step });
}
