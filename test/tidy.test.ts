/** The rules of spec/architecture.md on layers, sizes and leftovers, and proof that each can fail. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import test from 'ava';
import {
  defaultExports,
  filesWithoutHead,
  importCycles,
  leftovers,
  longFiles,
  longFunctions,
  misplacedPackages,
  type ParsedFile,
  parseFile,
  portableFilesWithNodeImports,
  staleAllowances,
  unmarkedNodeFiles,
  unusedExports,
  upwardImports,
} from './helpers/tidy-rules.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const SOURCE_FOLDERS = ['formats', 'store', 'lib', 'cli', 'bench', 'test'];
const TEXT_FOLDERS = [...SOURCE_FOLDERS, 'spec', '.ci'];
const MAX_FILE_LINES = 350;
const MAX_FUNCTION_LINES = 70;
// In pieces, so that this file does not contain them.
const LEFTOVERS = [
  new RegExp(
    `\\b(${['TO', 'FIX', 'X'].map((word, i) => word + ['DO', 'ME', 'XX'][i]).join('|')})\\b`,
  ),
];
const OUTSIDE = [new RegExp(`\\.\\./${'shared'}`)];

/** Exports that nothing in the program imports, each with the reason why it exists. */
const ALLOWED_UNUSED: Readonly<Record<string, string>> = {
  'cli/completions/build.ts#buildCompletions': 'called by its test, and by itself',
  'cli/main.ts#main': 'entry point of the bundle, called by casync.cjs',
  'formats/feature-flags.ts#normaliseFlags': 'a law of the format that is tested on its own',
  'lib/chunking/kernel/buzhash.as.ts#firstChunk': 'called as a WebAssembly function',
  'lib/chunking/kernel/fastcdc.as.ts#findUpTo': 'called as a WebAssembly function',
  'lib/chunking/kernel/build.node.ts#buildKernel': 'called by its test, and by itself',
  'lib/digest/kernel/blake2b.as.ts#finish': 'called as a WebAssembly function',
  'lib/digest/kernel/blake2b.as.ts#start': 'called as a WebAssembly function',
  'lib/digest/kernel/blake2b.as.ts#take': 'called as a WebAssembly function',
  'lib/digest/kernel/build.node.ts#buildBlake2b': 'called by its test, and by itself',
  'store/backends/memory.ts#createMemoryBackend': 'the reference backend, a double in tests',
};

interface TextFile {
  readonly path: string;
  readonly text: string;
}

function readFiles(
  folders: readonly string[],
  wanted: (path: string) => boolean,
): readonly TextFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(PROJECT, join(entry.parentPath, entry.name)))
      .filter((path) => !path.startsWith('test/golden/') && wanted(path))
      .map((path) => ({ path, text: readFileSync(join(PROJECT, path), 'utf8') })),
  );
}

const project: readonly ParsedFile[] = readFiles(SOURCE_FOLDERS, (path) =>
  /\.(ts|mjs|cjs)$/.test(path),
).map(({ path, text }) => parseFile(path, text));

function law(title: string, check: (files: readonly ParsedFile[]) => readonly string[]): void {
  test(title, (t) => t.deepEqual(check(project), []));
}

law('no layer imports from a layer above it', upwardImports);
law('packages are used where their layer allows it', misplacedPackages);
law('what needs Node ends in .node.ts', unmarkedNodeFiles);
law('a portable file imports no .node.ts file', portableFilesWithNodeImports);
law('imports form no cycles', importCycles);
law('files are at most 350 lines long', (files) => longFiles(files, MAX_FILE_LINES));
law('functions are at most 70 lines long', (files) => longFunctions(files, MAX_FUNCTION_LINES));
law('every file but tests begins with a short comment', (files) =>
  filesWithoutHead(files.filter(({ path }) => !path.endsWith('.test.ts'))),
);
law('there are no default exports', defaultExports);
law('every exported declaration has a user', (files) =>
  // What the library exports is for those who import the package.
  unusedExports(
    files.filter(({ path }) => path !== 'cli/library.mjs'),
    ALLOWED_UNUSED,
  ),
);
law('every allowance for unused exports is needed', (files) =>
  staleAllowances(files, ALLOWED_UNUSED),
);

test('nothing is left to do in the sources', (t) => {
  t.deepEqual(
    leftovers(
      readFiles(SOURCE_FOLDERS, () => true),
      LEFTOVERS,
    ),
    [],
  );
});

test('nothing refers to files outside the project', (t) => {
  t.deepEqual(
    leftovers(
      readFiles(TEXT_FOLDERS, () => true),
      OUTSIDE,
    ),
    [],
  );
});

/** Small projects on which a rule must speak, and what it must say. */
const HEAD = '/** Head. */\n';
const LONG_BODY = 'f();\n'.repeat(80);

function sources(texts: Readonly<Record<string, string>>): readonly ParsedFile[] {
  return Object.entries(texts).map(([path, text]) => parseFile(path, text));
}

interface Sample {
  readonly rule: (files: readonly ParsedFile[]) => readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly complaints: readonly string[];
}

const used = (files: readonly ParsedFile[]): readonly string[] => unusedExports(files, {});

const SAMPLES: Readonly<Record<string, Sample>> = {
  'an upward import': {
    rule: upwardImports,
    files: {
      'formats/a.ts': `import { x } from '../store/b.ts';`,
      'store/b.ts': `import { y } from '../formats/a.ts'; export * from '../lib/c.ts';`,
      'lib/c.ts': `import type { z } from '../cli/d.ts'; import '../test/e.ts';`,
      'cli/d.ts': `import { w } from '../lib/c.ts'; import p from '../package.json';`,
    },
    complaints: [
      'formats/a.ts: imports ../store/b.ts',
      'store/b.ts: imports ../lib/c.ts',
      'lib/c.ts: imports ../cli/d.ts',
      'lib/c.ts: imports ../test/e.ts',
    ],
  },
  'a package in the wrong layer': {
    rule: misplacedPackages,
    files: {
      'formats/a.ts': `import { x } from '@noble/hashes';`,
      'lib/b.ts': `const c = await import('commander'); import 'xz-decompress';`,
      'cli/c.ts': `import { Command } from 'commander';`,
    },
    complaints: [
      'formats/a.ts: imports the package @noble/hashes',
      'lib/b.ts: imports the package commander',
    ],
  },
  'a Node file without its ending': {
    rule: unmarkedNodeFiles,
    files: {
      'lib/a.ts': `import { open } from 'node:fs'; const b = Buffer.alloc(1);`,
      'store/b.ts': `const k: typeof import('koffi') = await import('koffi');`,
      'lib/c.node.ts': `import 'node:fs'; process.exit();`,
      'lib/d.ts': `const o = { process: 1 }; o.process;`,
      'cli/e.ts': `import 'node:fs';`,
    },
    complaints: [
      'lib/a.ts: imports node:fs but does not end in .node.ts',
      'lib/a.ts: uses Buffer but does not end in .node.ts',
      'store/b.ts: imports koffi but does not end in .node.ts',
      'store/b.ts: imports koffi but does not end in .node.ts',
    ],
  },
  'a portable file that imports a Node file': {
    rule: portableFilesWithNodeImports,
    files: {
      'lib/a.ts': `import type { X } from './b.node.ts';`,
      'lib/b.node.ts': `import { c } from './c.node.ts';`,
    },
    complaints: ['lib/a.ts: is portable but imports ./b.node.ts'],
  },
  'a cycle': {
    rule: importCycles,
    files: {
      'lib/a.ts': `import './b.ts';`,
      'lib/b.ts': `import type { C } from './c.ts';`,
      'lib/c.ts': `import './a.ts';`,
      'lib/d.ts': `await import('./e.ts'); import './a.ts';`,
      'lib/e.ts': `import './d.ts';`,
    },
    complaints: ['lib/a.ts -> lib/b.ts -> lib/c.ts -> lib/a.ts'],
  },
  'a long file': {
    rule: (files) => longFiles(files, 50),
    files: {
      'lib/a.ts': LONG_BODY,
      'lib/b.ts': `/** Generated by x. */\n${LONG_BODY}`,
      'test/c.ts': LONG_BODY,
    },
    complaints: ['lib/a.ts: has 80 lines'],
  },
  'a long function': {
    rule: (files) => longFunctions(files, 70),
    files: {
      'lib/a.ts': `function f() {\n${LONG_BODY}}\nconst g = () => {\n${LONG_BODY}};\n`,
      'lib/b.ts': `class C { m() {\n${LONG_BODY}} n() {} }`,
    },
    complaints: [
      'lib/a.ts: f has 82 lines',
      'lib/a.ts: g has 82 lines',
      'lib/b.ts: m has 82 lines',
    ],
  },
  'a file without a head': {
    rule: filesWithoutHead,
    files: {
      'lib/a.ts': `import './b.ts';\n${HEAD}`,
      'lib/b.ts': `/**\n${' * word\n'.repeat(20)} */\n`,
      'lib/c.ts': HEAD,
      'cli/d.cjs': `#!/usr/bin/env node\n${HEAD}`,
    },
    complaints: [
      'lib/a.ts: does not begin with a comment of at most 12 lines',
      'lib/b.ts: does not begin with a comment of at most 12 lines',
    ],
  },
  'a default export': {
    rule: defaultExports,
    files: {
      'lib/a.ts': 'export default 1;',
      'lib/b.ts': 'export default function f() {}',
      'lib/c.ts': 'const x = 1; export { x as default };',
      'lib/d.ts': 'export const x = 1;',
    },
    complaints: [
      'lib/a.ts: has a default export',
      'lib/b.ts: has a default export',
      'lib/c.ts: has a default export',
    ],
  },
  'an unused export': {
    rule: used,
    files: {
      'lib/a.ts': `export const one = 1; export function two() {} export class Three {}`,
      'lib/b.ts': `export interface Left {} export interface Options {}
        export type Lonely = 1; export function run(o: Options) {}`,
      'lib/c.ts': `export const all = 1;`,
      'lib/d.ts': `import { one as o } from './a.ts'; import * as c from './c.ts';
        const { two } = await import('./a.ts'); (await import('./b.ts')).run;`,
      'test/e.ts': `import { Three } from '../lib/a.ts';`,
    },
    complaints: [
      'lib/a.ts: exports Three, which nothing but tests uses',
      'lib/b.ts: exports Left, which nothing but tests uses',
      'lib/b.ts: exports Lonely, which nothing but tests uses',
    ],
  },
};

for (const [name, { rule, files, complaints }] of Object.entries(SAMPLES)) {
  test(`the rules see ${name}`, (t) => t.deepEqual(rule(sources(files)), complaints));
}

test('the rules see leftovers, with file and line', (t) => {
  const files = [
    { path: 'a', text: 'fine\nTOD no\n  nots' },
    { path: 'b', text: 'x\n  nots y' },
  ];
  t.deepEqual(leftovers(files, [/nots/]), ['a:3: nots', 'b:2: nots y']);
  const word = `TO${'DO'}`;
  t.is(leftovers([{ path: 'a', text: `// ${word} later` }], LEFTOVERS).length, 1);
  t.is(leftovers([{ path: 'a', text: `${word}S` }], LEFTOVERS).length, 0);
});

test('an allowance hides an unused export, and a needless one is seen', (t) => {
  const files = sources({
    'lib/a.ts': 'export const one = 1;',
    'lib/b.ts': 'export const two = 2;',
  });
  const allowed = { 'lib/a.ts#one': 'reason', 'lib/gone.ts#three': 'reason' };
  t.deepEqual(unusedExports(files, allowed), [
    'lib/b.ts: exports two, which nothing but tests uses',
  ]);
  t.deepEqual(staleAllowances(files, allowed), ['lib/gone.ts#three']);
});
