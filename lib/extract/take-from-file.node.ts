/**
 * What a file seed gives to a blob: the chunks that its own index tells, else those at the same place,
 * and those that a search finds in the rest of it (spec/formats/extraction.md, "Seeds").
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { findInFile, type SearchOptions } from '../seed/file-seed.node.ts';
import { indexBeside, type SeedFile } from '../seed/seed-file.node.ts';
import { WantedChunks } from '../seed/wanted-chunks.ts';
import type { Assembly, SeedPass } from './assemble.node.ts';
import { RangeList } from './range-list.ts';
import type { BlockTarget } from './target.ts';

export interface FileTake extends SearchOptions {
  /** Where the chunks go. */
  readonly target: BlockTarget;
  /** The target holds what the file holds: chunks at the same place stay there. */
  readonly isHeld: boolean;
}

/** Where a file has each chunk, if at all. */
type Places = (chunk: number) => number | undefined;

/**
 * Takes from the file what the assembly still needs. Whatever the file holds, each chunk is verified.
 * @returns false if the target holds too little for an update to be worth it; nothing was written then
 */
export async function takeFromFile(
  assembly: Assembly,
  index: ChunkIndex,
  file: SeedFile,
  { target, isHeld, ...search }: FileTake,
): Promise<boolean> {
  const taking = new FileTaking(assembly, index, file, target);
  const samePlace: Places = (chunk) =>
    index.end(chunk) <= file.size ? index.start(chunk) : undefined;
  if (isHeld) {
    await taking.keep(samePlace);
    if (assembly.bytesToFind() > (target.mostChangedBytes ?? index.totalSize)) return false;
  } else {
    if (await taking.takeByItsIndex()) return true;
    await taking.take(samePlace, true);
  }
  if (assembly.bytesToFind() > 0) await taking.search(search);
  return true;
}

class FileTaking {
  readonly #assembly: Assembly;
  readonly #index: ChunkIndex;
  readonly #file: SeedFile;
  readonly #target: BlockTarget;
  /** Parts of the file that need not be searched. */
  readonly #known = new RangeList();

  constructor(assembly: Assembly, index: ChunkIndex, file: SeedFile, target: BlockTarget) {
    this.#assembly = assembly;
    this.#index = index;
    this.#file = file;
    this.#target = target;
  }

  /** Leaves chunks where the target has them. */
  async keep(places: Places): Promise<void> {
    const held = this.#target.held;
    if (held === undefined) return;
    const onFound = (chunk: number): void => {
      this.#target.keep?.(this.#index.start(chunk), this.#index.size(chunk));
      this.#note(places, chunk);
    };
    const partsOf = this.#partsOf(places, held.descriptor);
    await this.#assembly.takeFrom({ partsOf, onFound, backOff: true });
  }

  async take(places: Places, backOff: boolean): Promise<void> {
    const onFound = (chunk: number): void => this.#note(places, chunk);
    const partsOf = this.#partsOf(places, this.#file.descriptor);
    await this.#assembly.takeFrom({ partsOf, target: this.#target, onFound, backOff });
  }

  /** @returns true if the index tells all that the file holds, and was right about it */
  async takeByItsIndex(): Promise<boolean> {
    const own = indexBeside(this.#file, this.#index);
    if (own === undefined) return false;
    const wanted = this.#wanted();
    const offsets = new Map<number, number>();
    for (let i = 0; i < own.count; i++) {
      const chunk = wanted.find(own.idBytes(i));
      if (chunk !== undefined && !offsets.has(chunk)) offsets.set(chunk, own.start(i));
    }
    const places = this.#placesIn(wanted, offsets);
    const before = this.#count(places);
    await this.take(places, true);
    const { min, avg, max } = own.chunkSizes;
    const { chunkSizes } = this.#index;
    const isAlike = min === chunkSizes.min && avg === chunkSizes.avg && max === chunkSizes.max;
    return isAlike && before > 0 && this.#count(places) === 0;
  }

  /** Cuts what is not known of the file yet, and takes what is found. */
  async search(options: SearchOptions): Promise<void> {
    const wanted = this.#wanted();
    const ranges = this.#known.gaps(this.#file.size);
    const { reader } = this.#assembly;
    const offsets = await findInFile(reader, this.#file, ranges, wanted, options);
    if (offsets.size > 0) await this.take(this.#placesIn(wanted, offsets), false);
  }

  #wanted(): WantedChunks {
    const { remaining } = this.#assembly;
    return new WantedChunks(this.#index, (chunk) => remaining.has(chunk));
  }

  #placesIn(wanted: WantedChunks, offsets: ReadonlyMap<number, number>): Places {
    return (chunk) => {
      const first = wanted.find(this.#index.idBytes(chunk));
      return first === undefined ? undefined : offsets.get(first);
    };
  }

  #partsOf(places: Places, descriptor: number): SeedPass['partsOf'] {
    return (chunk) => {
      const offset = places(chunk);
      return offset === undefined
        ? undefined
        : [{ descriptor, offset, length: this.#index.size(chunk) }];
    };
  }

  #note(places: Places, chunk: number): void {
    const offset = places(chunk);
    if (offset !== undefined) this.#known.add(offset, offset + this.#index.size(chunk));
  }

  /** Remaining chunks that have a place. */
  #count(places: Places): number {
    const { remaining } = this.#assembly;
    let count = 0;
    for (let i = remaining.next(0); i < this.#index.count; i = remaining.next(i + 1)) {
      if (places(i) !== undefined) count += 1;
    }
    return count;
  }
}
