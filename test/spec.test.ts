/** The documents tell the truth about what can be checked: the tree of files, and their links. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import test from 'ava';

const PROJECT = resolve(import.meta.dirname, '..');
const SOURCE = /\.(ts|mjs|cjs)$/;

/** The files that spec/architecture.md lists under "What lies where", without those of tests. */
function listedFiles(): string[] {
  const text = readFileSync(join(PROJECT, 'spec/architecture.md'), 'utf8');
  const section = text.split('## What lies where')[1].split('\n## ')[0];
  const files: string[] = [];
  let folder = '';
  for (const line of section.split('\n')) {
    const top = /^`(\w+)\/`$/.exec(line);
    const inner = /^ {4}((?:\w+\/)+)(?: |$)/.exec(line);
    const file = /^ {4,}([\w.-]+\.(?:ts|mjs|cjs))(?: |$)/.exec(line);
    if (top) folder = top[1];
    else if (inner) folder = inner[1].slice(0, -1);
    else if (file) files.push(`${folder}/${file[1]}`);
  }
  return files.filter((file) => !file.startsWith('test')).sort();
}

function sourceFiles(): string[] {
  return ['formats', 'store', 'lib', 'cli', 'bench']
    .flatMap((folder) =>
      readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' }).map(
        (name) => `${folder}/${name}`,
      ),
    )
    .filter((name) => SOURCE.test(name))
    .sort();
}

function documents(): string[] {
  const inSpec = readdirSync(join(PROJECT, 'spec'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('spec', name));
  return ['README.md', 'CHANGELOG.md', ...inSpec];
}

test('the architecture lists every source file, and no other', (t) => {
  const listed = listedFiles();
  const sources = sourceFiles();
  t.deepEqual(
    sources.filter((file) => !listed.includes(file)),
    [],
  );
  t.deepEqual(
    listed.filter((file) => !sources.includes(file)),
    [],
  );
});

test('links between documents lead somewhere', (t) => {
  const broken = documents().flatMap((document) => {
    const text = readFileSync(join(PROJECT, document), 'utf8');
    return [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target)
      .filter((target) => !existsSync(resolve(PROJECT, dirname(document), target)))
      .map((target) => `${document}: ${target}`);
  });
  t.deepEqual(broken, []);
});

test('source and test files that documents name are there', (t) => {
  const missing = documents().flatMap((document) => {
    const text = readFileSync(join(PROJECT, document), 'utf8');
    return [...text.matchAll(/`((?:formats|store|lib|cli|test|bench)\/[\w./-]+\.\w+)`/g)]
      .map(([, path]) => path)
      .filter((path) => !existsSync(join(PROJECT, path)))
      .map((path) => `${document}: ${path}`);
  });
  t.deepEqual(missing, []);
});
