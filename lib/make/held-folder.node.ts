/** A directory that is held open while its entries are read. Used by the folder walk and by packing. */
import type { EnterEvent, NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import type { ExcludeRules } from './exclude.ts';
import type { HeldEntry } from './held-entry.node.ts';

export interface Folder {
  /** Undefined for the root. */
  readonly parent: Folder | undefined;
  /** Directories from the root to this one, both counted. */
  readonly depth: number;
  readonly entry: HeldEntry;
  readonly fd: number;
  /** The event that begins it. */
  readonly event: EnterEvent;
  /** Undefined where submounts are not told apart. */
  readonly mountId: number | undefined;
  /** One character per byte, in archive order. */
  readonly names: readonly string[];
  /** What `listDirectory` says of them. */
  readonly types: Uint8Array;
  readonly rules: ExcludeRules;
  /** Number of the name that comes next. */
  next: number;
  /** A change of the directory has been reported. */
  isReported: boolean;
}

/** Content of a file that was not read. */
export interface ContentReference {
  /** Where the file is; need not be open any more. */
  readonly folder: Folder;
  /** Of the file in its folder. */
  readonly number: number;
  /** See file-identity.ts. */
  readonly identity: Uint8Array;
  /** In bytes. */
  readonly length: number;
}

const TYPE_SHIFT = 12;
const SLASH = Buffer.from('/');

/** The type of an entry according to the directory, if that says one we know. */
export function listedType(folder: Folder, number: number): NodeType | undefined {
  return nodeTypeOfMode(folder.types[number] << TYPE_SHIFT);
}

/** The name of an entry as bytes of the caller's. */
export function nameOf(folder: Folder, number: number): Uint8Array {
  return Buffer.from(folder.names[number], 'latin1');
}

/** Path of the entry `name` of a directory; without a name, of the directory itself. */
export function pathOf(folder: Folder, name: Uint8Array): Uint8Array {
  const parts = name.length === 0 ? [] : [name];
  for (let at = folder; at.parent !== undefined; at = at.parent) {
    if (parts.length > 0) parts.unshift(SLASH);
    parts.unshift(at.entry.name);
  }
  return Buffer.concat(parts);
}
