/**
 * What a thread keeps between jobs: its view of the shared memory and its own scanner, digest and
 * stores, each opened when a job first needs it. Every thread makes its own from the same setup.
 */
import {
  type BlockDigest,
  type BlockDigestName,
  DIGEST_LENGTH,
} from '../../formats/block-digest.ts';
import { type ChunkId, type DigestName, writeChunkId } from '../../formats/chunk-id.ts';
import type { ChunkSource, ChunkStore } from '../../store/chunk-store.ts';
import type { ChunkTranscoder } from '../../store/transcoder.ts';
import type { CodecName, Digest, DigestStream } from '../../store/transforms.ts';
import { type Chunking, openScanner } from '../chunking/open-scanner.node.ts';
import type { ChunkScanner } from '../chunking/scanner.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { createDigest } from '../digest/digest.node.ts';
import {
  createNodeTranscoder,
  type LocalStoreDescription,
  openLocalSource,
  openLocalStore,
} from '../local-store.node.ts';
import { collectSooner } from '../os/heap.node.ts';
import { Claims } from './claims.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Plain data from which each thread makes its context; what a pipeline does not need is left out. */
export interface JobSetup {
  /** Of the segment ring. */
  readonly memory?: SharedMemory;
  /** Of {@link Claims}. */
  readonly claims?: SharedArrayBuffer;
  readonly digest?: DigestName;
  /** Of the blocks of images. */
  readonly blockDigest?: BlockDigestName;
  /** Of chunks that are encoded; zstd if left out. */
  readonly compression?: CodecName;
  readonly chunking?: Chunking;
  /** Where chunks are put. */
  readonly store?: LocalStoreDescription;
  /** Where chunks are read from, asked in this order. */
  readonly sources?: readonly LocalStoreDescription[];
}

/** Stores that are open already, for jobs in the caller's thread; they stay open. */
export interface OpenStores {
  readonly store?: ChunkStore;
  readonly source?: ChunkSource;
}

export class JobContext {
  readonly #setup: JobSetup;
  readonly #open: OpenStores;
  readonly #toClose: ChunkSource[] = [];
  readonly #zeroIds = new Map<number, Uint8Array>();
  readonly #zeroBlocks = new Map<number, Uint8Array>();
  #bytes: Uint8Array | undefined;
  #claims: Claims | undefined;
  #digest: Digest | undefined;
  #blockDigest: BlockDigest | undefined;
  #stream: DigestStream | undefined;
  #transcoder: ChunkTranscoder | undefined;
  #scanner: ChunkScanner | undefined;
  #store: ChunkStore | undefined;
  #source: ChunkSource | undefined;

  constructor(setup: JobSetup, open: OpenStores = {}) {
    this.#setup = setup;
    this.#open = open;
  }

  /** Bytes of the shared memory, in place. */
  bytes(address: number, length: number): Uint8Array {
    this.#bytes ??= new Uint8Array(this.#needed('memory').buffer);
    return this.#bytes.subarray(address, address + length);
  }

  get claims(): Claims {
    this.#claims ??= new Claims(this.#needed('claims'));
    return this.#claims;
  }

  get digest(): Digest {
    this.#digest ??= createDigest(this.#needed('digest'));
    return this.#digest;
  }

  get blockDigest(): BlockDigest {
    if (this.#blockDigest === undefined) {
      this.#blockDigest = createBlockDigest(this.#needed('blockDigest'));
      collectSooner();
    }
    return this.#blockDigest;
  }

  /** The digest of a whole stream, fed by jobs in sequence. */
  get stream(): DigestStream {
    this.#stream ??= this.digest.stream();
    return this.#stream;
  }

  get transcoder(): ChunkTranscoder {
    const { compression = 'zstd' } = this.#setup;
    this.#transcoder ??= createNodeTranscoder([this.#needed('digest')], compression);
    return this.#transcoder;
  }

  get scanner(): ChunkScanner {
    this.#scanner ??= openScanner(this.#needed('chunking'), this.#needed('memory'));
    return this.#scanner;
  }

  get store(): ChunkStore {
    this.#store ??= this.#open.store ?? this.#closeLater(openLocalStore(this.#needed('store')));
    return this.#store;
  }

  get source(): ChunkSource {
    this.#source ??=
      this.#open.source ?? this.#closeLater(openLocalSource(this.#needed('sources')));
    return this.#source;
  }

  /** The digest of `length` zero bytes, computed once. */
  zeroDigest(length: number): Uint8Array {
    let digest = this.#zeroIds.get(length);
    if (digest === undefined) {
      digest = digestBytes(this.digest.hash(new Uint8Array(length)));
      this.#zeroIds.set(length, digest);
    }
    return digest;
  }

  /** The same for a block. */
  zeroBlockDigest(length: number): Uint8Array {
    let digest = this.#zeroBlocks.get(length);
    if (digest === undefined) {
      digest = new Uint8Array(DIGEST_LENGTH);
      this.blockDigest.write(new Uint8Array(length), digest, 0);
      this.#zeroBlocks.set(length, digest);
    }
    return digest;
  }

  async close(): Promise<void> {
    for (const opened of this.#toClose.splice(0)) await opened.close();
  }

  #closeLater<Opened extends ChunkSource>(opened: Opened): Opened {
    this.#toClose.push(opened);
    return opened;
  }

  #needed<Name extends keyof JobSetup>(name: Name): NonNullable<JobSetup[Name]> {
    const value = this.#setup[name];
    if (value === undefined) throw new TypeError(`jobs of this kind need ${name}`);
    return value;
  }
}

/** The 32 bytes of an id. */
function digestBytes(id: ChunkId): Uint8Array {
  const bytes = new Uint8Array(32);
  writeChunkId(id, bytes, 0);
  return bytes;
}
