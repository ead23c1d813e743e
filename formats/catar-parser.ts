/**
 * Archive bytes in, events out (spec/formats/catar.md): a parser without input of its own, for
 * everything that reads archives front to back. Memory is one node with its attributes,
 * within {@link DecodeLimits}, whatever the archive says.
 */
import { readSize, readU32 } from './bytes.ts';
import type { CatarEvent, NodeStart, NodeType } from './catar-events.ts';
import { archiveRules, type Fault, fileNameFault } from './catar-fields.ts';
import { NodeDecoder, type RecordBody, textOf } from './catar-node-decoder.ts';
import { ENTRY_PLACE, endsBefore, mayFollow, type RecordPlace } from './catar-order.ts';
import {
  type CatarRecordName,
  findLayout,
  GOODBYE_TAIL_SIZE,
  goodbyeTailFault,
  isGoodbyeSize,
  type RecordLayout,
  recordLayouts,
  sizeFault,
} from './catar-records.ts';
import { DEFAULT_DECODE_LIMITS, type DecodeLimits } from './decode-limits.ts';
import { FormatError } from './errors.ts';
import { checkFlags } from './feature-flags.ts';
import { PushCursor } from './push-cursor.ts';
import { RECORD_HEADER_SIZE } from './record-types.ts';

export interface CatarParserOptions {
  readonly limits?: DecodeLimits;
  /** Contents of files are passed over: no data events, and their bytes need not be pushed. */
  readonly skipPayloads?: boolean;
  /** The archive must have exactly these feature flags: those of its index. */
  readonly expectedFlags?: bigint;
  /** The one node to read; the root if left out. */
  readonly start?: NodeStart;
}

/** A node that is not left yet. */
interface OpenNode {
  readonly entryOffset: number;
  readonly name: Uint8Array;
  readonly type: NodeType;
  /** The record read last. */
  place: RecordPlace;
  childCount: number;
}

/** What the next bytes are. */
type State = 'record' | 'payload' | 'goodbye-items' | 'goodbye-tail' | 'done';

const ROOT: NodeStart = { offset: 0, name: new Uint8Array(), depth: 0 };

export class CatarParser {
  /** Bytes of content to pass over, beginning with the next; may be set whenever an event is taken. */
  skipLength: number;
  readonly #limits: DecodeLimits;
  readonly #expectedFlags: bigint | undefined;
  readonly #layouts: ReadonlyMap<number, RecordLayout>;
  readonly #start: NodeStart;
  readonly #cursor: PushCursor;
  readonly #ready: CatarEvent[] = [];
  readonly #open: OpenNode[] = [];
  /** Known with the first ENTRY, which has the feature flags. */
  #decoder: NodeDecoder | undefined;
  #flagsLow = 0;
  #flagsHigh = 0;
  #state: State = 'record';
  /** Name of the node whose ENTRY must come next. */
  #pendingName: Uint8Array | undefined;
  /** For messages: the record being read, and where it began. */
  #record = 'ENTRY';
  #recordOffset = 0;
  #recordSize = 0;
  /** Bytes of a payload, or of the items of a GOODBYE, still to come. */
  #remaining = 0;
  /** From the GOODBYE being read back to the ENTRY of its directory. */
  #entryDistance = 0;
  #taking = false;
  #failure: unknown;

  constructor(options: CatarParserOptions = {}) {
    this.#limits = options.limits ?? DEFAULT_DECODE_LIMITS;
    this.skipLength = options.skipPayloads === true ? Number.POSITIVE_INFINITY : 0;
    this.#expectedFlags = options.expectedFlags;
    this.#layouts = recordLayouts(this.#limits);
    this.#start = options.start ?? ROOT;
    this.#cursor = new PushCursor(this.#start.offset);
    this.#pendingName = this.#start.name;
  }

  /**
   * Archive offset of the next byte to push. Grows by what was pushed, and with `skipPayloads` also
   * jumps over content that was not; when done, it is the end of the archive.
   */
  get nextOffset(): number {
    return this.#cursor.nextOffset;
  }

  /** Archive offset of the record that an event comes from, while that event is taken. */
  get recordOffset(): number {
    return this.#recordOffset;
  }

  /** True when the archive is complete. Bytes pushed from then on are ignored. */
  get done(): boolean {
    return this.#state === 'done';
  }

  /**
   * Takes the next bytes of the archive, from {@link nextOffset} on, in portions of any size.
   * @param bytes must not change until all events are taken
   * @returns the events that these bytes complete. All of them must be taken before the next call.
   *   The bytes in data events are views of `bytes`; everything else in events is the caller's.
   * @throws FormatError while the events are taken, and again from each later call
   */
  push(bytes: Uint8Array): Iterable<CatarEvent> {
    if (this.#taking) throw new TypeError('events of the previous push were not taken');
    this.#taking = true;
    return this.#events(bytes);
  }

  /**
   * Says that no byte follows.
   * @throws FormatError if the archive is incomplete
   */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.done) return;
    const { nextOffset } = this;
    const headerKnown = nextOffset - this.#recordOffset >= RECORD_HEADER_SIZE;
    const record = headerKnown ? this.#record : 'record';
    throw new FormatError('catar', record, nextOffset, 'the archive ends too early');
  }

  *#events(bytes: Uint8Array): Generator<CatarEvent> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#cursor.feed(bytes);
    try {
      while (this.#step()) {
        for (const event of this.#ready) yield event;
        this.#ready.length = 0;
      }
    } catch (error) {
      this.#failure = error;
      this.#taking = false;
      throw error;
    }
    this.#taking = false;
  }

  /** Reads on by one record or piece. @returns false when that needs more bytes */
  #step(): boolean {
    switch (this.#state) {
      case 'record':
        return this.#readRecord();
      case 'payload':
        return this.#readPayload();
      case 'goodbye-items':
        return this.#readGoodbyeItems();
      case 'goodbye-tail':
        return this.#readGoodbyeTail();
      case 'done':
        return false;
    }
  }

  #readRecord(): boolean {
    const cursor = this.#cursor;
    this.#recordOffset = cursor.offset;
    if (!cursor.has(RECORD_HEADER_SIZE)) return false;
    const { name } = this.#readHeader();
    const node = this.#open.at(-1);
    const decoder = this.#decoder;
    if (this.#pendingName !== undefined || node === undefined || decoder === undefined) {
      if (name !== 'ENTRY') throw this.#error('ENTRY in this place');
      if (!cursor.has(this.#recordSize)) return false;
      this.#beginNode(this.#body());
      cursor.advance(this.#recordSize);
      return true;
    }
    if (endsBefore(node.type, name)) {
      // The record belongs to the folder and is read again in the next step.
      this.#enter(node, decoder);
      this.#leave();
      return true;
    }
    if (name === 'ENTRY') throw this.#error('FILENAME before the ENTRY of a child');
    const place = decoder.rules.places.get(name);
    if (place === undefined) throw this.#error('a record that the feature flags allow');
    if (!mayFollow(node.place, place, node.type)) {
      throw this.#error(`a record that may follow ${node.place.name} in a ${node.type}`);
    }
    if (!this.#readInNode(node, decoder, name)) return false;
    node.place = place;
    return true;
  }

  #readInNode(
    node: OpenNode,
    decoder: NodeDecoder,
    name: Exclude<CatarRecordName, 'ENTRY'>,
  ): boolean {
    const cursor = this.#cursor;
    switch (name) {
      case 'PAYLOAD':
        cursor.advance(RECORD_HEADER_SIZE);
        this.#remaining = this.#recordSize - RECORD_HEADER_SIZE;
        decoder.setSize(this.#remaining);
        this.#enter(node, decoder);
        this.#state = 'payload';
        return true;
      case 'GOODBYE':
        if (!isGoodbyeSize(this.#recordSize)) throw this.#error('complete items');
        cursor.advance(RECORD_HEADER_SIZE);
        this.#remaining = this.#recordSize - RECORD_HEADER_SIZE - GOODBYE_TAIL_SIZE;
        this.#entryDistance = this.#recordOffset - node.entryOffset;
        if (node.childCount === 0) this.#enter(node, decoder);
        this.#state = 'goodbye-items';
        return true;
    }
    if (!cursor.has(this.#recordSize)) return false;
    if (name === 'FILENAME') this.#readFileName(node, decoder, this.#body());
    else this.#check(decoder.apply(name, this.#body()));
    cursor.advance(this.#recordSize);
    if (name === 'SYMLINK' || name === 'DEVICE') {
      this.#enter(node, decoder);
      this.#leave();
    }
    return true;
  }

  #beginNode(body: RecordBody): void {
    const depth = this.#start.depth + this.#open.length + 1;
    if (depth > this.#limits.maxDepth) {
      throw this.#error(`at most ${this.#limits.maxDepth} nodes from the root to the deepest`);
    }
    const { bytes, start } = body;
    const decoder = this.#decoderFor(readU32(bytes, start), readU32(bytes, start + 4));
    this.#check(decoder.begin(body));
    const { type } = decoder.node;
    if (depth === 1 && type !== 'directory') throw this.#error('a directory as the root');
    this.#open.push({
      entryOffset: this.#recordOffset,
      name: this.#pendingName ?? ROOT.name,
      type,
      place: ENTRY_PLACE,
      childCount: 0,
    });
    this.#pendingName = undefined;
  }

  /** The decoder of the archive; the feature flags of its first ENTRY decide for all others. */
  #decoderFor(flagsLow: number, flagsHigh: number): NodeDecoder {
    if (this.#decoder !== undefined) {
      if (flagsLow === this.#flagsLow && flagsHigh === this.#flagsHigh) return this.#decoder;
      throw this.#error('the same feature flags in all entries');
    }
    const flags = (BigInt(flagsHigh) << 32n) | BigInt(flagsLow);
    checkFlags(flags, (reason) => this.#refusal(reason));
    if (this.#expectedFlags !== undefined && this.#expectedFlags !== flags) {
      throw this.#error('the same feature flags as in the index');
    }
    this.#flagsLow = flagsLow;
    this.#flagsHigh = flagsHigh;
    this.#decoder = new NodeDecoder(archiveRules(flags), this.#limits);
    return this.#decoder;
  }

  #readFileName(folder: OpenNode, decoder: NodeDecoder, body: RecordBody): void {
    const name = textOf(body, body.start);
    this.#check(name === undefined ? 'a name that ends with NUL' : fileNameFault(name));
    if (folder.childCount === 0) this.#enter(folder, decoder);
    folder.childCount++;
    if (folder.childCount > this.#limits.maxDirectoryEntries) {
      throw this.#error(`at most ${this.#limits.maxDirectoryEntries} entries in a directory`);
    }
    this.#pendingName = name;
  }

  #readPayload(): boolean {
    const skipped = Math.min(this.skipLength, this.#remaining);
    this.#cursor.jump(skipped);
    this.skipLength -= skipped;
    this.#remaining -= skipped;
    if (this.#remaining > 0) {
      const bytes = this.#cursor.take(this.#remaining);
      if (bytes.length === 0) return false;
      this.#remaining -= bytes.length;
      this.#ready.push({ kind: 'data', bytes });
    }
    if (this.#remaining === 0) this.#leave();
    return true;
  }

  #readGoodbyeItems(): boolean {
    // The items are for lookups by name; from front to back the reference does not check them either.
    this.#remaining -= this.#cursor.take(this.#remaining).length;
    if (this.#remaining > 0) return false;
    this.#state = 'goodbye-tail';
    return true;
  }

  #readGoodbyeTail(): boolean {
    const cursor = this.#cursor;
    if (!cursor.has(GOODBYE_TAIL_SIZE)) return false;
    const { bytes, start } = cursor;
    this.#check(goodbyeTailFault(bytes, start, this.#entryDistance, this.#recordSize));
    cursor.advance(GOODBYE_TAIL_SIZE);
    this.#leave();
    return true;
  }

  #enter({ name, entryOffset }: OpenNode, decoder: NodeDecoder): void {
    this.#check(decoder.finish());
    this.#ready.push({ kind: 'enter', name, node: decoder.node, offset: entryOffset });
  }

  #leave(): void {
    this.#open.pop();
    this.#state = this.#open.length === 0 ? 'done' : 'record';
    this.#ready.push({ kind: 'leave', end: this.#cursor.offset });
  }

  /** Size of the record whose header is at the cursor, within its bounds. */
  #readHeader(): RecordLayout {
    const { bytes, start } = this.#cursor;
    const layout = findLayout(this.#layouts, bytes, start);
    this.#record = layout?.name ?? 'record';
    if (layout === undefined) throw this.#error('a known record type');
    this.#recordSize = readSize(bytes, start);
    this.#check(sizeFault(layout, this.#recordOffset, this.#recordSize));
    return layout;
  }

  #body(): RecordBody {
    const { bytes, start } = this.#cursor;
    return { bytes, start: start + RECORD_HEADER_SIZE, end: start + this.#recordSize };
  }

  #check(fault: Fault): void {
    if (fault !== undefined) throw this.#error(fault);
  }

  #error(expectation: string): FormatError {
    return this.#refusal(`expected ${expectation}`);
  }

  #refusal(reason: string): FormatError {
    return new FormatError('catar', this.#record, this.#recordOffset, reason);
  }
}
