/** Folders whose events are taken one at a time, to be compared with other trees. */
import type { CatarEvent } from '../../formats/catar-events.ts';
import type { WalkOptions } from '../make/folder-reader.node.ts';
import { walkTree } from '../make/walk.node.ts';
import { createBreather } from '../work/breathe.ts';
import type { TreeReader } from './tree-reader.ts';

export class FolderTreeReader implements TreeReader {
  readonly contentPlace = undefined;
  readonly #events: Generator<CatarEvent>;
  readonly #breathe = createBreather();
  #contents: 'read' | 'skip' = 'read';

  /** @param root descriptor of an open directory, which stays open */
  constructor(root: number, options: Omit<WalkOptions, 'contents'>) {
    const contents = (): 'read' | 'skip' => this.#contents;
    this.#events = walkTree(root, {
      ...options,
      get contents() {
        return contents();
      },
    });
  }

  next(): CatarEvent | undefined | Promise<CatarEvent | undefined> {
    const pause = this.#breathe();
    return pause === undefined ? this.#take() : pause.then(() => this.#take());
  }

  /** Always leaves out all, because without an index nothing else is asked for. */
  skipContent(): void {
    this.#contents = 'skip';
  }

  /** Closes what is still open. */
  close(): void {
    this.#events.return(undefined);
  }

  #take(): CatarEvent | undefined {
    const { done, value } = this.#events.next();
    if (done === true) return undefined;
    if (value.kind === 'leave') this.#contents = 'read';
    return value;
  }
}
