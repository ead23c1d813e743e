/** One object of a bucket as RemoteFile: an index or archive (spec/remote.md, "S3"). */
import type { ObjectRange, SignalOption } from '../backend.ts';
import { ObjectMissing } from '../errors.ts';
import type { FileWriter, RemoteFile, RemoteFileInfo } from '../remote-file.ts';
import { Retrier, type RetryOptions } from '../wrap/retry.ts';
import type { S3Client } from './s3-client.node.ts';
import { readS3Part, type S3Part, statS3Object } from './s3-part.node.ts';
import { openS3Upload } from './s3-upload.node.ts';

/** Read at a time from front to back, in bytes. */
const PIECE_SIZE = 4 * 1024 * 1024;
/** Pieces that are under way while one is used. */
const PIECES_AHEAD = 3;

export interface S3FileOptions {
  /** Whole key. */
  readonly key: string;
  /** For uploads, which nobody else can try again. */
  readonly retry: RetryOptions;
}

/** @param client belongs to the result from now on */
export function openS3ObjectFile(client: S3Client, options: S3FileOptions): RemoteFile {
  return new S3File(client, options);
}

class S3File implements RemoteFile {
  readonly label: string;
  readonly #client: S3Client;
  readonly #options: S3FileOptions;

  constructor(client: S3Client, options: S3FileOptions) {
    this.label = client.label;
    this.#client = client;
    this.#options = options;
  }

  async stat(options: SignalOption = {}): Promise<RemoteFileInfo> {
    const found = await statS3Object(this.#client, this.#options.key, options);
    if (found === undefined) {
      throw new ObjectMissing({ subject: this.label, step: 'look up', reason: 'No such object' });
    }
    const { size, tag } = found;
    return { size, hasRanges: true, ...(tag === undefined ? {} : { version: tag }) };
  }

  /** In pieces of their own requests: they come side by side, and one that fails is no great loss. */
  async *read({ signal }: SignalOption = {}): AsyncGenerator<Uint8Array> {
    const ended = new AbortController();
    const signals = signal === undefined ? [ended.signal] : [ended.signal, signal];
    const option = { signal: AbortSignal.any(signals) };
    try {
      const { bytes, totalSize, tag } = await this.#piece(0, option);
      yield bytes;
      const pieces: Promise<S3Part>[] = [];
      let offset = bytes.length;
      for (;;) {
        while (offset < totalSize && pieces.length < PIECES_AHEAD) {
          const piece = this.#piece(offset, { ...option, tag });
          void piece.catch(() => {});
          pieces.push(piece);
          offset += PIECE_SIZE;
        }
        const piece = pieces.shift();
        if (piece === undefined) return;
        yield (await piece).bytes;
      }
    } finally {
      ended.abort();
    }
  }

  async readRange(range: ObjectRange, options: SignalOption = {}): Promise<Uint8Array> {
    const { bytes } = await readS3Part(this.#client, this.#options.key, { range, ...options });
    return bytes;
  }

  async openWriter(options: SignalOption = {}): Promise<FileWriter> {
    const { key, retry } = this.#options;
    const retrier = new Retrier(this.label, retry);
    return openS3Upload(this.#client, { key, label: this.label, retrier, ...options });
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #piece(
    offset: number,
    options: SignalOption & { readonly tag?: string | undefined },
  ): Promise<S3Part> {
    const range = { offset, length: PIECE_SIZE };
    return readS3Part(this.#client, this.#options.key, { range, ...options });
  }
}
