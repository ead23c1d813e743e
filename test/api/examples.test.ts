/** The examples of spec/api.md do what the page says, in a source checkout. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { PROJECT, prepareFolder, readExamples } from './examples.ts';

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that must end by itself. */
function run(folder: string, file: string): Promise<Outcome> {
  return new Promise((done) => {
    const options = { cwd: folder, timeout: 60_000, env: { ...process.env, NODE_OPTIONS: '' } };
    const child = execFile(process.execPath, [file], options, (_, stdout, stderr) =>
      done({ status: child.exitCode, stdout, stderr }),
    );
  });
}

test('every example runs, prints what the page says and ends', async (t) => {
  const folder = temporaryFolder(t);
  prepareFolder(folder, PROJECT);
  const examples = readExamples();
  t.true(examples.length > 10);
  for (const [i, { title, code, output }] of examples.entries()) {
    const file = join(folder, `example-${i}.mjs`);
    writeFileSync(file, code);
    const outcome = await run(folder, file);
    t.deepEqual({ ...outcome, stdout: '' }, { status: 0, stdout: '', stderr: '' }, title);
    if (output !== undefined) t.is(outcome.stdout, output, title);
  }
});
