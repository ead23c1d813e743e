/**
 * Compiles blake2b.as.ts into the module that is committed beside it. `npm run build:kernel` runs it with the
 * argument `write`; a test calls it and compares, so that neither can be changed alone.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileKernel } from '../../chunking/kernel/build.node.ts';

const FOLDER = import.meta.dirname;
const OUTPUT = 'blake2b-wasm.ts';

/** The memory is its own: constants, and input in portions. */
const MEMORY = ['--initialMemory=1', '--maximumMemory=1'];

/** @returns the text of blake2b-wasm.ts */
export function buildBlake2b(): Promise<string> {
  const options = ['--enable=simd', ...MEMORY];
  return compileKernel(['blake2b.as.ts'], { folder: FOLDER, name: 'BLAKE2B_WASM', options });
}

if (process.argv[1] === import.meta.filename && process.argv[2] === 'write') {
  writeFileSync(join(FOLDER, OUTPUT), await buildBlake2b());
}
