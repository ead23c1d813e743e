/**
 * The three sizes that steer the chunker and stand in every index, and the option that sets them.
 * Implements spec/formats/chunker.md, "Sizes".
 */
import { DEFAULT_DECODE_LIMITS } from './decode-limits.ts';
import { CasError } from './errors.ts';
import { parseSize } from './size.ts';

/** Bytes of the smallest, the usual and the largest chunk. */
export interface ChunkSizes {
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

/** What `auto` means. */
export const DEFAULT_CHUNK_SIZES: ChunkSizes = { min: 16384, avg: 65536, max: 262144 };

const LARGEST = DEFAULT_DECODE_LIMITS.maxChunkSize;

/** True if the stream is cut every `avg` bytes, whatever it contains. */
export function isFixedSize(sizes: ChunkSizes): boolean {
  return sizes.min === sizes.avg && sizes.avg === sizes.max;
}

/** True for whole numbers with 1 <= min <= avg <= max <= `limit` bytes. */
export function validChunkSizes(sizes: ChunkSizes, limit = LARGEST): boolean {
  const { min, avg, max } = sizes;
  return (
    [min, avg, max].every(Number.isInteger) && min >= 1 && min <= avg && avg <= max && max <= limit
  );
}

/**
 * The value of `--chunk-size=`: `auto`, `AVG` or `MIN:AVG:MAX`.
 * @throws CasError `USAGE` with casync's own text as reason
 */
export function parseChunkSizes(text: string): ChunkSizes {
  if (text === 'auto') return DEFAULT_CHUNK_SIZES;
  const fields = text.split(':');
  if (fields.length === 1) return sizesFromAverage(parseField(text, 'average', text));
  if (fields.length === 2) {
    throw refusal(
      '--chunk-size= requires either a single average chunk size or a triplet of minimum, average and maximum chunk size.',
    );
  }
  const min = parseField(fields[0], 'minimum', text);
  if (min < 1) throw refusal('Minimum chunk size must be >= 1.');
  const avg = parseField(fields[1], 'average', text);
  if (avg < min) throw refusal('Average chunk size must be larger than minimum chunk size.');
  const max = parseField(fields.slice(2).join(':'), 'maximum', text);
  if (max < avg) throw refusal('Average chunk size must be smaller than maximum chunk size.');
  if (max > LARGEST) throw refusal(`Maximum chunk size must be <= ${LARGEST}.`);
  return { min, avg, max };
}

function sizesFromAverage(avg: number): ChunkSizes {
  if (avg < 1) throw refusal('Average chunk size must be >= 1.');
  if (avg > LARGEST) throw refusal(`Average chunk size must be <= ${LARGEST}.`);
  return { min: Math.max(1, Math.floor(avg / 4)), avg, max: Math.min(LARGEST, avg * 4) };
}

/** @param whole the complete value, which the refusal shows */
function parseField(field: string, meaning: string, whole: string): number {
  try {
    return parseSize(field);
  } catch (cause) {
    throw refusal(`Can't parse ${meaning} chunk size: ${whole}`, cause);
  }
}

function refusal(reason: string, cause?: unknown): CasError {
  return new CasError('USAGE', { reason, cause });
}
