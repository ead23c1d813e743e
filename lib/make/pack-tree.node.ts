/**
 * A folder as archive bytes, or as spans: the same archive with references in place of the contents of
 * files. Its entries are read and encoded ahead by jobs: this thread opens directories, sends their entries away in batches, and puts the results into archive order. Whatever
 * is unusual it does itself when its turn comes, exactly as the folder walk does, so bytes and messages
 * are the same with any number of threads. Used by `make`, by its cache, and by directories as seeds.
 */
import type { CatarEvent } from '../../formats/catar-events.ts';
import { CatarSerializer, PACKED_COLUMNS } from '../../formats/catar-serializer.ts';
import { throwIfAborted } from '../errors.ts';
import { descriptorLimit } from '../os/limits.node.ts';
import { IDENTITY_LENGTH } from './file-identity.ts';
import { FolderReader, type WalkOptions } from './folder-reader.node.ts';
import { type ContentReference, type Folder, nameOf } from './held-folder.node.ts';
import { type PackBatch, PackBatches, type TakenEntries } from './pack-batches.ts';
import { type PackEntries, type PackedContents, packedLength } from './packing.ts';

/** What comes next in the archive. */
type Step =
  | { readonly kind: 'enter'; readonly folder: Folder }
  | { readonly kind: 'leave'; readonly folder: Folder }
  /** An entry that is walked in its turn, with everything in it. */
  | { readonly kind: 'walk'; readonly folder: Folder; readonly number: number }
  /** Entries of which a batch takes care. */
  | PackedStep;

interface PackedStep {
  readonly kind: 'packed';
  readonly folder: Folder;
  readonly count: number;
  readonly batch: PackBatch;
}

/** How far the plan may be ahead. The deepest path opens 64 directories. */
const MOST_STEPS = 2048;
const MOST_OPEN_FOLDERS = 256;
/** Of the descriptors that the process may have; threads and files need the rest. */
const SHARE_OF_DESCRIPTORS = 4;

export type PackTreeOptions = Omit<WalkOptions, 'contents'>;

/** A piece of an archive: its bytes, or content that was not read. */
export type Span = Uint8Array | ContentReference;

/**
 * Reads the folder `root` as an archive. Stopping early waits for the jobs under way and closes
 * everything.
 * @param root path, or descriptor of an open directory, which stays open.
 * @param pack where the jobs run.
 * @returns pieces that are valid until the next is taken.
 * @throws as `walkTree`
 */
export function packTree(
  root: number | Uint8Array,
  options: PackTreeOptions,
  pack: PackEntries,
): AsyncGenerator<Uint8Array> {
  // No references where contents are read.
  return readTree(root, { ...options, contents: 'read' }, pack) as AsyncGenerator<Uint8Array>;
}

/**
 * The same archive without reading a file: what is not inline bytes, valid until the next span is
 * taken, are references to whole contents, which are never empty.
 */
export function spanTree(
  root: number | Uint8Array,
  options: PackTreeOptions,
  pack: PackEntries,
): AsyncGenerator<Span> {
  return readTree(root, { ...options, contents: 'skip' }, pack);
}

async function* readTree(
  root: number | Uint8Array,
  options: WalkOptions,
  pack: PackEntries,
): AsyncGenerator<Span> {
  const reader = new FolderReader(options);
  const batches = new PackBatches(options, packedContents(options), pack);
  try {
    yield* new TreePacker(options, reader, batches).spans(reader.openRoot(root));
  } finally {
    await batches.settle();
    reader.close();
  }
}

function packedContents({ contents }: WalkOptions): PackedContents {
  return contents === 'read' ? 'read' : 'refer';
}

class TreePacker {
  readonly #options: WalkOptions;
  readonly #reader: FolderReader;
  readonly #batches: PackBatches;
  readonly #serializer: CatarSerializer;
  readonly #steps: Step[] = [];
  readonly #mostOpenFolders = Math.min(
    MOST_OPEN_FOLDERS,
    Math.ceil(descriptorLimit() / SHARE_OF_DESCRIPTORS),
  );
  /** The directory that planning has come to; undefined behind the root. */
  #planned: Folder | undefined;

  constructor(options: WalkOptions, reader: FolderReader, batches: PackBatches) {
    this.#options = options;
    this.#reader = reader;
    this.#batches = batches;
    this.#serializer = new CatarSerializer(options.featureFlags);
  }

  async *spans(root: Folder): AsyncGenerator<Span> {
    if (this.#options.onEntry !== undefined) {
      // Messages about entries belong between those about other entries: nothing is done ahead.
      yield* this.#spansOf([root.event]);
      yield* this.#spansOf(this.#reader.walk(root));
      this.#serializer.end();
      return;
    }
    this.#planFolder(root);
    for (;;) {
      throwIfAborted(this.#options.signal);
      this.#plan();
      const step = this.#steps.shift();
      if (step === undefined) break;
      if (step.kind === 'packed') yield* this.#packed(step);
      else yield* this.#spansOf(this.#eventsOf(step));
    }
    this.#serializer.end();
  }

  /** What the jobs made of some entries, and ourselves of those that were left. */
  async *#packed({ folder, count, batch }: PackedStep): AsyncGenerator<Span> {
    for (let done = 0; done < count; ) {
      const taken = await this.#batches.take(batch);
      const { first, table } = taken;
      done += taken.count;
      if (taken.isLeft) {
        yield* this.#spansOf(this.#reader.walkEntry(folder, first));
        continue;
      }
      const firstName = nameOf(folder, first);
      const lastName = nameOf(folder, first + taken.count - 1);
      this.#serializer.pushPacked({ firstName, lastName, table });
      yield* spansOfPacked(folder, taken);
    }
    this.#batches.release(batch);
  }

  *#spansOf(events: Iterable<CatarEvent>): Generator<Span> {
    const refers = this.#options.contents === 'skip';
    for (const event of events) {
      yield* this.#serializer.push(event);
      if (!refers || event.kind !== 'enter' || event.node.size === 0) continue;
      yield this.#reader.referenceOfEntered(event.node.size);
      this.#serializer.passContent();
    }
  }

  *#eventsOf(step: Exclude<Step, PackedStep>): Generator<CatarEvent> {
    const { folder } = step;
    if (step.kind === 'enter') yield folder.event;
    else if (step.kind === 'leave') yield this.#reader.leave(folder);
    else yield* this.#reader.walkEntry(folder, step.number);
  }

  /** Goes ahead as far as there is memory, and descriptors for directories. */
  #plan(): void {
    while (this.#steps.length < MOST_STEPS) {
      // The next step is always planned: it may need another folder on the way down.
      if (this.#steps.length > 0 && this.#reader.openCount >= this.#mostOpenFolders) break;
      const folder = this.#planned;
      if (folder === undefined) break;
      if (folder.next === folder.names.length) {
        this.#steps.push({ kind: 'leave', folder });
        this.#planned = folder.parent;
      } else if (this.#reader.canBePacked(folder, folder.next)) {
        const batch = this.#batches.collecting();
        if (batch === undefined) return;
        this.#planPacked(folder, batch);
      } else this.#planWalk(folder, folder.next++);
    }
    if (this.#planned === undefined) this.#batches.finish();
  }

  /** Gives the entries up to the next unusual one to a batch, as far as it has room. */
  #planPacked(folder: Folder, batch: PackBatch): void {
    const first = folder.next;
    const end = Math.min(folder.names.length, first + batch.room);
    do folder.next += 1;
    while (folder.next < end && this.#reader.canBePacked(folder, folder.next));
    const count = folder.next - first;
    this.#batches.add(batch, folder, first, count);
    this.#steps.push({ kind: 'packed', folder, count, batch });
  }

  #planWalk(folder: Folder, number: number): void {
    const inner = this.#reader.openAhead(folder, number);
    if (inner === undefined) this.#steps.push({ kind: 'walk', folder, number });
    else this.#planFolder(inner);
  }

  #planFolder(folder: Folder): void {
    this.#steps.push({ kind: 'enter', folder });
    this.#planned = folder;
  }
}

/** The bytes of entries up to where a reference takes the place of content, that, and so on. */
function* spansOfPacked(
  folder: Folder,
  { first, count, table, referred, bytes }: TakenEntries,
): Generator<Span> {
  let start = 0;
  let end = 0;
  for (let i = 0; i < count; i++) {
    const length = referred[i] ?? 0;
    end += packedLength(table[i * PACKED_COLUMNS], length);
    if (length === 0) continue;
    yield bytes.subarray(start, end - IDENTITY_LENGTH);
    const identity = bytes.slice(end - IDENTITY_LENGTH, end);
    yield { folder, number: first + i, identity, length };
    start = end;
  }
  if (end > start) yield bytes.subarray(start, end);
}
