/** Reading index files, from a path or standard input. */
import type { ChunkIndex } from '../formats/chunk-index.ts';
import { about } from '../formats/errors.ts';
import { decodeIndex } from '../formats/index-codec.ts';
import { readBlob, readStandardInput } from '../lib/make/blob.node.ts';
import type { Context } from './context.ts';
import { isStandardStream, type OpenedInput } from './kinds.ts';

/** @throws FormatError named after the file */
export async function readIndex(input: OpenedInput, context: Context): Promise<ChunkIndex> {
  const { descriptor, label } = input;
  const pieces = isStandardStream(input)
    ? readStandardInput(context.signal)
    : readBlob(descriptor, { label, onIncomplete: context.warn });
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(Buffer.from(piece));
  try {
    return decodeIndex(Buffer.concat(parts));
  } catch (error) {
    throw about(label, error);
  }
}
