/** Job of the check of stores: reads chunks, decompresses them and compares their digests. */
import {
  CHUNK_ID_LENGTH,
  type ChunkId,
  chunkIdFromBytes,
  type DigestName,
} from '../../../formats/chunk-id.ts';
import { chunkKey } from '../../../formats/chunk-path.ts';
import { DEFAULT_DECODE_LIMITS } from '../../../formats/decode-limits.ts';
import { isCasError } from '../../../formats/errors.ts';
import { openLocalBackend } from '../../../store/backends/local.node.ts';
import { ChunkDamaged } from '../../../store/errors.ts';
import { createDigest } from '../../digest/digest.node.ts';
import type { JobContext } from '../job-context.node.ts';

export interface VerifyChunksInput {
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  /** Plain length of each chunk, where an index says it. */
  readonly lengths?: readonly number[];
  /** Look at the files without suffix in this store, which are not compressed. */
  readonly plainIn?: { readonly folder: string; readonly digests: readonly DigestName[] };
}

export interface ChunkFault {
  /** Number of the chunk in the input. */
  readonly chunk: number;
  /** Code of the error, for example `CHUNK_DAMAGED`. */
  readonly code: string;
  readonly reason: string;
}

export interface VerifyChunksOutput {
  readonly faults: readonly ChunkFault[];
  /** Plain bytes of the chunks that are good. */
  readonly goodBytes: number;
}

/** Looks at all of them, whatever the others are like. */
export async function verifyChunks(
  context: JobContext,
  input: VerifyChunksInput,
): Promise<VerifyChunksOutput> {
  const { digests, lengths, plainIn } = input;
  const faults: ChunkFault[] = [];
  let goodBytes = 0;
  for (let chunk = 0; chunk * CHUNK_ID_LENGTH < digests.length; chunk++) {
    const id = chunkIdFromBytes(digests, chunk * CHUNK_ID_LENGTH);
    const size = lengths?.[chunk];
    try {
      goodBytes +=
        plainIn === undefined
          ? (await context.source.get(id, size === undefined ? {} : { expectedSize: size })).length
          : await verifyPlain(id, plainIn);
    } catch (error) {
      if (!isCasError(error)) throw error;
      faults.push({ chunk, code: error.code, reason: error.reason });
    }
  }
  return { faults, goodBytes };
}

/** A file that is the chunk as it is. @returns its length */
async function verifyPlain(
  id: ChunkId,
  { folder, digests }: NonNullable<VerifyChunksInput['plainIn']>,
): Promise<number> {
  const backend = openLocalBackend(folder);
  try {
    const bytes = await backend.get(chunkKey(id, ''), {
      maxSize: DEFAULT_DECODE_LIMITS.maxChunkSize,
    });
    if (bytes.length > 0 && digests.some((name) => createDigest(name).hash(bytes) === id)) {
      return bytes.length;
    }
    const reason = bytes.length === 0 ? 'no bytes' : 'digest differs';
    throw new ChunkDamaged({ subject: id, reason });
  } finally {
    await backend.close();
  }
}
