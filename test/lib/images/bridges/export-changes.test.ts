/** Exports whose source changes, or that are ended, leave nothing (spec/bridges.md, "Promises"). */
import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type ExportFormat, exportImage } from '../../../../lib/api/export.node.ts';
import { importImage } from '../../../../lib/api/import.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const FORMATS: readonly ExportFormat[] = ['bmap', 'sparse', 'rdiff-sig', 'rdiff-delta', 'qcow2'];

for (const format of FORMATS) {
  test(`a source that changes, or the end of the work, leaves nothing: ${format}`, async (t) => {
    const folder = temporaryFolder(t);
    const [input, output, base] = ['input', 'output', 'base'].map((name) => join(folder, name));
    if (input === undefined || output === undefined || base === undefined) return;
    writeFileSync(input, noise(5_000_000));
    writeFileSync(base, noise(100_000));
    const parts = {
      ...(format === 'rdiff-delta' ? { base } : {}),
      ...(format === 'qcow2' ? { backing: base } : {}),
      threadCount: 0,
    };
    const change = () => appendFileSync(input, 'x');
    await t.throwsAsync(exportImage({ format, input, output, ...parts, onProgress: change }), {
      code: 'SOURCE_CHANGED',
    });
    t.deepEqual(readdirSync(folder).sort(), ['base', 'input']);

    const { signal, abort } = ended();
    await t.throwsAsync(
      exportImage({ format, input, output, ...parts, signal, onProgress: abort }),
      { code: 'ABORTED' },
    );
    t.deepEqual(readdirSync(folder).sort(), ['base', 'input']);
  });
}

test('an old file that changes while a delta is applied leaves nothing', async (t) => {
  const folder = temporaryFolder(t);
  const [old, fresh, delta] = ['old', 'fresh', 'delta'].map((name) => join(folder, name));
  if (old === undefined || fresh === undefined || delta === undefined) return;
  writeFileSync(old, noise(3_000_000));
  writeFileSync(fresh, Buffer.concat([noise(3_000_000), noise(500, 2)]));
  await exportImage({ format: 'rdiff-delta', base: old, input: fresh, output: delta });
  const output = join(folder, 'output');
  const change = () => appendFileSync(old, 'x');
  await t.throwsAsync(importImage({ input: delta, base: old, output, onProgress: change }), {
    code: 'SOURCE_CHANGED',
  });
  const { signal, abort } = ended();
  await t.throwsAsync(importImage({ input: delta, base: old, output, signal, onProgress: abort }), {
    code: 'ABORTED',
  });
  t.deepEqual(readdirSync(folder).sort(), ['delta', 'fresh', 'old']);
});

function ended(): { readonly signal: AbortSignal; readonly abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
