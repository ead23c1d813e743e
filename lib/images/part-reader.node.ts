/** Parts of an index file for those who decode it bit by bit. */
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';

/** Gives bytes from an offset on, valid until it is called again; fewer at the end of the file. */
export type PartReader = (offset: number, length: number) => Uint8Array;

/** Reads into memory that is used again. Its reader throws PipelineError. */
export function readerOf(descriptor: number, label: string): PartReader {
  let memory = new Uint8Array(0);
  return (offset, length) => {
    if (memory.length < length) memory = new Uint8Array(length);
    try {
      return memory.subarray(0, readFully(descriptor, memory.subarray(0, length), offset));
    } catch (error) {
      throw systemFailure('read', error, label);
    }
  };
}
