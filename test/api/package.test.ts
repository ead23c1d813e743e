/** The packed package: what a project gets that installs it, at run time and for its compiler. */
import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import { PROJECT, prepareFolder, readExamples } from './examples.ts';

const run = promisify(execFile);
const ENVIRONMENT = { ...process.env, NODE_OPTIONS: '' };

let folder: string | undefined;
let installed: Promise<string> | undefined;

test.after.always('the package is removed', () => {
  if (folder !== undefined) removeTree(folder);
});

/** The package, packed once, with what it depends on beside it. */
function install(): Promise<string> {
  folder ??= makeTemporaryFolder();
  installed ??= packInto(folder);
  return installed;
}

async function packInto(folder: string): Promise<string> {
  const options = { cwd: PROJECT, env: ENVIRONMENT };
  // The project switches scripts off for everything that it installs.
  const words = ['pack', '--silent', '--ignore-scripts=false', '--pack-destination', folder];
  const { stdout } = await run('npm', words, options);
  const archive = join(folder, stdout.trim().split('\n').at(-1) ?? '');
  execFileSync('tar', ['-xf', archive, '-C', folder]);
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(PROJECT, 'node_modules'))) {
    symlinkSync(join(PROJECT, 'node_modules', name), join(modules, name));
  }
  return join(folder, 'package');
}

const CONSUMER = {
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    target: 'ES2022',
    types: ['node'],
    skipLibCheck: false,
    noEmit: true,
  },
  include: ['*.mts'],
};

/** In TypeScript the type of what is caught is unknown. */
function typed(code: string): string {
  return code.replaceAll('console.log(error.code)', 'console.log((error as CasError).code)');
}

test('the package has what it needs and nothing else, and no script runs at its installation', async (t) => {
  const root = await install();
  t.false(existsSync(join(root, 'lib')));
  t.deepEqual(readdirSync(join(root, 'cli')).sort(), [
    'bundles.cjs',
    'casync.cjs',
    'compile-cache.cjs',
    'library.mjs',
  ]);
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  t.deepEqual(
    Object.keys(scripts).filter((name) => /install|prepare/.test(name)),
    [],
  );
});

test('the examples run with the package and compile against its declarations', async (t) => {
  const root = await install();
  const folder = join(root, '../consumer');
  prepareFolder(folder, root);
  symlinkSync(join(PROJECT, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  for (const [i, { title, code, output }] of readExamples().entries()) {
    writeFileSync(join(folder, `example-${i}.mjs`), code);
    const source = `import type { CasError } from 'casync';\nexport type Failure = CasError;\n`;
    writeFileSync(join(folder, `typed-${i}.mts`), source + typed(code));
    const options = { cwd: folder, env: ENVIRONMENT, timeout: 60_000 };
    const { stdout, stderr } = await run(process.execPath, [`example-${i}.mjs`], options);
    t.is(stderr, '', title);
    if (output !== undefined) t.is(stdout, output, title);
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONSUMER));
  const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc');
  const compiled = await run(process.execPath, [compiler, '-p', folder]).catch((error) => error);
  t.is(compiled.stdout, '');
});

test('the loader gives everything that the library exports', async (t) => {
  const code = `
    import { createRequire } from 'node:module';
    import * as loaded from './cli/library.mjs';
    const bundle = createRequire(import.meta.url)('./dist/library.cjs');
    console.log(JSON.stringify([Object.keys(loaded).sort(), Object.keys(bundle).sort()]));`;
  const words = ['--input-type=module', '-e', code];
  const { stdout } = await run(process.execPath, words, { cwd: PROJECT, env: ENVIRONMENT });
  const [loaded, bundled] = JSON.parse(stdout);
  t.deepEqual(loaded, bundled);
});
