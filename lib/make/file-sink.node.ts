/** Byte sinks on this machine: a file that appears when it is complete, and an open descriptor. */
import { about } from '../../formats/errors.ts';
import { openDurableFile } from '../../store/backends/durable-write.node.ts';
import type { Awaitable } from '../../store/transforms.ts';
import { writeFully } from '../os/write.node.ts';
import type { ByteSink } from './byte-sink.ts';

const BUFFER_LENGTH = 1024 * 1024;

/** Collects small pieces, so that an archive of small files is not written record by record. */
class PieceBuffer {
  readonly #bytes = new Uint8Array(BUFFER_LENGTH);
  readonly #descriptor: number;
  readonly #label: string;
  #length = 0;

  constructor(descriptor: number, label: string) {
    this.#descriptor = descriptor;
    this.#label = label;
  }

  /** A promise only if something had to be written. */
  add(bytes: Uint8Array): Awaitable<void> {
    if (bytes.length > BUFFER_LENGTH - this.#length) return this.#spill(bytes);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async flush(): Promise<void> {
    const pending = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    await this.#write(pending);
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    await this.flush();
    if (bytes.length >= BUFFER_LENGTH) await this.#write(bytes);
    else this.add(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await writeFully(this.#descriptor, bytes, null);
    } catch (error) {
      throw about(this.#label, error);
    }
  }
}

/**
 * The file at `path`, replaced when complete and durable; an older file stays until then.
 * @param options.mode permission bits, reduced by the umask
 */
export async function openFileSink(
  path: string,
  options: { readonly mode: number },
): Promise<ByteSink> {
  const file = openDurableFile(path, options);
  const buffer = new PieceBuffer(file.descriptor, path);
  return {
    path,
    write: (bytes) => buffer.add(bytes),
    async commit() {
      await buffer.flush();
      await file.commit({ sync: true });
    },
    discard: async () => file.discard(),
  };
}

/** Standard output or another open descriptor; what was written cannot be taken back. */
export function openStreamSink(descriptor: number): ByteSink {
  const buffer = new PieceBuffer(descriptor, 'standard output');
  return {
    write: (bytes) => buffer.add(bytes),
    commit: () => buffer.flush(),
    discard: async () => {},
  };
}
