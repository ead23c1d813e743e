/**
 * Writes delta files (spec/formats/delta.md): collects changed blocks or pieces into records, compresses
 * what becomes smaller by it. Nothing is there under the name before all is there.
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import {
  type DeltaEnd,
  type DeltaHeader,
  type DeltaRecordName,
  encodeDeltaEnd,
  encodeDeltaHeader,
  headerChecksum,
  type ImageVersion,
  sealDeltaRecord,
} from '../../../formats/delta.ts';
import {
  type ChangedRun,
  DELTA_DATA_LENGTH,
  encodeBlocksRecord,
  MAX_DELTA_DIGESTS,
  MAX_DELTA_RUNS,
  NEW,
  OLD,
} from '../../../formats/delta-blocks.ts';
import { encodePieceRecord, PIECE_LENGTH } from '../../../formats/delta-pieces.ts';
import { type Codec, compressedRoom } from '../../../store/transforms.ts';
import { createCodecs } from '../../compress/codecs.node.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import type { ByteSink } from '../../make/byte-sink.ts';
import type { BlockChange } from './block-change.ts';
import type { PieceContent } from './delta-file.ts';

/** Compression is worth it below this share of the plain bytes. */
const WORTH_SHARE = 31 / 32;
const FIRST_ROOM = 64;
/** Bytes that runs or parts and their digests need, nearly always. */
const ROOM_BESIDES = 256 * 1024;

export class DeltaWriter {
  readonly header: DeltaHeader;
  readonly digest: BlockDigest;
  readonly #sink: ByteSink;
  readonly #codec: Codec = createCodecs().zstd;
  readonly #old = new DigestList();
  readonly #new = new DigestList();
  readonly #data: Uint8Array;
  /** Memory for a record, and for its data when they are compressed. */
  readonly #room: Uint8Array;
  readonly #compressed: Uint8Array;
  #dataLength = 0;
  #runs: ChangedRun[] = [];
  #checksum: Uint8Array | undefined;
  #writtenBytes = 0;
  #changedBytes = 0;
  #dataBytes = 0;

  /** @param sink belongs to the writer from now on */
  constructor(sink: ByteSink, header: DeltaHeader) {
    this.#sink = sink;
    this.header = header;
    this.digest = createBlockDigest(header.digest);
    const isBlocks = header.kind === 'blocks';
    const length = isBlocks ? Math.max(DELTA_DATA_LENGTH, header.blockSize) : PIECE_LENGTH;
    this.#data = new Uint8Array(isBlocks ? length : 0);
    this.#room = new Uint8Array(length + ROOM_BESIDES);
    this.#compressed = new Uint8Array(compressedRoom(length));
  }

  /** Bytes of the file so far. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get dataBytes(): number {
    return this.#dataBytes;
  }

  get changedBytes(): number {
    return this.#changedBytes;
  }

  /** In ascending order. @param length bytes of the block in the result, 0 if it goes */
  async change(change: BlockChange, length: number): Promise<void> {
    const { bytes } = change;
    if (this.#dataLength + bytes.length > this.#data.length || this.#isFull) await this.#flush();
    const last = this.#runs.at(-1);
    const isSame = last?.old === change.old && last.new === change.new;
    if (last !== undefined && isSame && last.first + last.count === change.block) {
      this.#runs[this.#runs.length - 1] = { ...last, count: last.count + 1 };
    } else {
      this.#runs.push({ first: change.block, count: 1, old: change.old, new: change.new });
    }
    if (change.old === OLD.digest) this.#old.add(change.oldDigest);
    this.#changedBytes += length;
    if (change.new !== NEW.data) return;
    this.#new.add(change.newDigest);
    this.#data.set(bytes, this.#dataLength);
    this.#dataLength += bytes.length;
    this.#dataBytes += bytes.length;
  }

  /** The next part of the result. @param changedBytes of it that are not here in the base */
  async piece({ data, ...piece }: PieceContent, changedBytes: number): Promise<void> {
    const stored = await this.#stored(data);
    await this.#write('piece', encodePieceRecord({ ...piece, dataLength: data.length, ...stored }));
    this.#changedBytes += changedBytes;
    this.#dataBytes += data.length;
  }

  /** The delta is complete and durable when this resolves. */
  async finish(base: ImageVersion, result: ImageVersion): Promise<DeltaEnd> {
    await this.#flush();
    const end = { base, result, changedBytes: this.#changedBytes, dataBytes: this.#dataBytes };
    await this.#write('end', [encodeDeltaEnd(end)]);
    await this.#sink.commit();
    return end;
  }

  /** Gives up, unless it was finished. */
  async discard(): Promise<void> {
    await this.#sink.discard();
  }

  get #isFull(): boolean {
    const digestCount = Math.max(this.#old.count, this.#new.count);
    return this.#runs.length >= MAX_DELTA_RUNS || digestCount >= MAX_DELTA_DIGESTS;
  }

  async #flush(): Promise<void> {
    if (this.#runs.length === 0) return;
    const data = this.#data.subarray(0, this.#dataLength);
    const record = {
      runs: this.#runs,
      oldDigests: this.#old.take(),
      newDigests: this.#new.take(),
      dataLength: data.length,
      ...(await this.#stored(data)),
    };
    this.#runs = [];
    this.#dataLength = 0;
    await this.#write('blocks', encodeBlocksRecord(record));
  }

  async #stored(plain: Uint8Array) {
    if (plain.length === 0) return { isCompressed: false, stored: plain };
    const stored = await this.#codec.compress(plain, this.#compressed);
    const isCompressed = stored.length < plain.length * WORTH_SHARE;
    return { isCompressed, stored: isCompressed ? stored : plain };
  }

  async #write(type: DeltaRecordName, parts: readonly Uint8Array[]): Promise<void> {
    this.#checksum ??= await this.#writeHeader();
    const record = sealDeltaRecord(this.digest, this.#checksum, type, parts, this.#room);
    this.#checksum = record.slice(-DIGEST_LENGTH);
    this.#writtenBytes += record.length;
    await this.#sink.write(record);
  }

  async #writeHeader(): Promise<Uint8Array> {
    const bytes = encodeDeltaHeader(this.header, this.digest);
    this.#writtenBytes += bytes.length;
    await this.#sink.write(bytes);
    return headerChecksum(bytes);
  }
}

/** Digests one behind the other. */
class DigestList {
  #bytes = new Uint8Array(FIRST_ROOM * DIGEST_LENGTH);
  #length = 0;

  get count(): number {
    return this.#length / DIGEST_LENGTH;
  }

  add(digest: Uint8Array): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(digest, this.#length);
    this.#length += DIGEST_LENGTH;
  }

  /** Valid until the next is added. */
  take(): Uint8Array {
    const all = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return all;
  }
}
