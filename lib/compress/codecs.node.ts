/** All codecs of a program on Node. Whatever a codec needs is loaded when it is used first. */
import type { Codec, Codecs } from '../../store/transforms.ts';
import { createGzipCodec } from './gzip.node.ts';
import { createXzCodec } from './xz.node.ts';
import { createZstdCodec } from './zstd.node.ts';

/** The fastest implementations that work here; CASYNC_NATIVE=off leaves out system libraries. */
export function createCodecs(): Codecs {
  return {
    zstd: onFirstUse('zstd', createZstdCodec),
    xz: onFirstUse('xz', createXzCodec),
    gzip: createGzipCodec(),
  };
}

function onFirstUse(name: Codec['name'], create: () => Codec): Codec {
  let codec: Codec | undefined;
  const get = (): Codec => {
    codec ??= create();
    return codec;
  };
  return {
    name,
    compress: (plain, output) => get().compress(plain, output),
    decompress: (stored, ceiling, output) => get().decompress(stored, ceiling, output),
  };
}
