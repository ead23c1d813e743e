/** An independent zstd decoder: the streaming decoder of the package zstd-codec. */
import { createRequire } from 'node:module';

interface Streaming {
  decompress(stored: Uint8Array, sizeHint: number): Uint8Array;
}

interface ZstdCodecPackage {
  readonly ZstdCodec: {
    run(ready: (zstd: { readonly Streaming: new () => Streaming }) => void): void;
  };
}

let loading: Promise<Streaming> | undefined;

/** The plain bytes of a frame that is known to be good. */
export async function decompressStreaming(stored: Uint8Array): Promise<Uint8Array> {
  loading ??= new Promise((resolve) => {
    const { ZstdCodec } = createRequire(import.meta.url)('zstd-codec') as ZstdCodecPackage;
    ZstdCodec.run(({ Streaming }) => resolve(new Streaming()));
  });
  return (await loading).decompress(stored, 65536);
}
