/**
 * The inputs, made by script from this machine and from fixed seeds: when they are first wanted, in
 * one folder, each with a note that says it is complete, so that `--keep` can use them again. Used
 * by main.ts; data-files.ts and data-blobs.ts do the work.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  makeChanged,
  makeHoles,
  makeInserted,
  makeMultiple,
  makeNoise,
  makeSample,
  makeSmall,
  makeZeros,
} from './data-blobs.ts';
import { makeFolderOf, makeImage, makeTinyFiles, makeTree } from './data-files.ts';
import type { BuildContext, Built } from './recipe.ts';
import type { DataSetFacts } from './result.ts';

export type DataSetName =
  | 'image'
  | 'changed'
  | 'inserted'
  | 'tree'
  | 'tiny'
  | 'holes'
  | 'zeros'
  | 'noise'
  | 'small'
  | 'image-64M'
  | 'image-256M'
  | 'image-4G'
  | 'image-folder';

export interface DataSet {
  /** Folder that holds nothing but the input. */
  readonly folder: string;
  /** Name of the input in it. */
  readonly name: string;
  readonly facts: DataSetFacts;
}

interface Recipe {
  readonly title: string;
  readonly from?: DataSetName;
  readonly build: (context: BuildContext) => Promise<Built>;
}

const RECIPES: Readonly<Record<DataSetName, Recipe>> = {
  image: { title: 'ext4 image of real files, 1 GiB, no holes', build: makeImage },
  changed: {
    title: 'the image with 1 % of its 4 KiB blocks replaced by noise',
    from: 'image',
    build: makeChanged,
  },
  inserted: {
    title: 'the image with 1,000 bytes put in near the front',
    from: 'image',
    build: makeInserted,
  },
  tree: { title: 'copies of /usr/share, /usr/bin and more', build: makeTree },
  tiny: { title: '100,000 files of 1 KB in folders of 1,000', build: makeTinyFiles },
  holes: { title: '8 GiB, one hole', build: makeHoles },
  zeros: { title: '1 GiB of holes and written zeroes, some data', build: makeZeros },
  noise: { title: '1 GiB, incompressible', build: makeNoise },
  small: { title: '1 MiB of a program', build: makeSmall },
  'image-64M': {
    title: 'pieces from all over the image',
    from: 'image',
    build: makeSample(1 / 16),
  },
  'image-256M': {
    title: 'pieces from all over the image',
    from: 'image',
    build: makeSample(1 / 4),
  },
  'image-4G': {
    title: 'the image, and thrice with its bytes exchanged one for another',
    from: 'image',
    build: makeMultiple(4),
  },
  'image-folder': {
    title: 'a folder that holds the image',
    from: 'image',
    build: makeFolderOf,
  },
};

/** Increased when a recipe changes, so that kept data sets are made anew. */
const RECIPES_VERSION = 1;

export interface DataSets {
  get(name: DataSetName): Promise<DataSet>;
  /** Removes all that will not be wanted any more. */
  keepOnly(names: readonly DataSetName[]): void;
}

export interface DataSetsOptions {
  readonly folder: string;
  readonly scale: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export function createDataSets(options: DataSetsOptions): DataSets {
  const { folder, scale, signal, say } = options;
  const noteOf = (name: DataSetName): string => join(folder, `${name}.json`);
  const folderOf = (name: DataSetName): string => join(folder, name);
  const inputOf = (name: DataSetName): string => join(folderOf(name), name);
  const identity = JSON.stringify({ scale, version: RECIPES_VERSION });

  const known = (name: DataSetName): DataSet | undefined => {
    if (!existsSync(noteOf(name)) || !existsSync(inputOf(name))) return undefined;
    const note = JSON.parse(readFileSync(noteOf(name), 'utf8'));
    if (note.identity !== identity) return undefined;
    return { folder: folderOf(name), name, facts: note.facts };
  };
  const remove = (name: DataSetName): void => {
    rmSync(noteOf(name), { force: true });
    rmSync(folderOf(name), { recursive: true, force: true });
  };
  const get = async (name: DataSetName): Promise<DataSet> => {
    const there = known(name);
    if (there !== undefined) return there;
    const { title, from, build } = RECIPES[name];
    if (from !== undefined) await get(from);
    say(`making ${name}: ${title}`);
    remove(name);
    mkdirSync(folderOf(name), { recursive: true });
    const built = await build({
      path: inputOf(name),
      from: from === undefined ? '' : inputOf(from),
      scale,
      scratch: join(folder, 'scratch'),
      signal,
    });
    const facts: DataSetFacts = { name, title, ...built };
    writeFileSync(noteOf(name), JSON.stringify({ identity, facts }));
    return { folder: folderOf(name), name, facts };
  };
  return {
    get,
    keepOnly: (names) => {
      const wanted = new Set<string>(names.flatMap((name) => [name, RECIPES[name].from ?? name]));
      for (const name of Object.keys(RECIPES) as DataSetName[]) {
        if (!wanted.has(name)) remove(name);
      }
    },
  };
}
