/** xz decoding as WebAssembly: runs everywhere, cannot compress. Loaded on first use. */
import { FormatError } from '../../formats/errors.ts';
import type { Codec } from '../../store/transforms.ts';
import { PipelineError } from '../errors.ts';
import { roomFor } from './plain-array.ts';
import { xzPlainSize } from './xz-stream.ts';

/** A codec that decodes; its `compress` throws PipelineError `UNSUPPORTED`. */
export function createPortableXzCodec(): Codec {
  return {
    name: 'xz',
    compress() {
      throw new PipelineError('UNSUPPORTED', {
        step: 'compress with xz',
        reason: 'the library liblzma.so.5 (or the package koffi) is not available',
      });
    },
    async decompress(stored, ceiling, output) {
      const size = xzPlainSize(stored, ceiling);
      const plain = roomFor(ceiling, output)?.subarray(0, size) ?? new Uint8Array(size);
      const { XzReadableStream } = await import('xz-decompress');
      const pieces = new XzReadableStream(streamOf(stored)).getReader();
      let length = 0;
      for (;;) {
        const { done, value } = await pieces.read().catch(rejectDamaged);
        if (done) break;
        if (value.length > plain.length - length) {
          await pieces.cancel();
          return rejectDamaged();
        }
        plain.set(value, length);
        length += value.length;
      }
      return length === plain.length ? plain : rejectDamaged();
    },
  };
}

function rejectDamaged(): never {
  throw new FormatError('xz', 'stream', 0, 'decodable data expected');
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
