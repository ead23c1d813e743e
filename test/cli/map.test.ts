/** `map` on the command line (spec/images.md, "`map ACTION FILE`"). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { VERBS } from '../../cli/verbs.ts';
import { noise } from '../helpers/golden.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

test('map shows, checks and forgets, and says it by its status', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  const [source, destination] = ['source', 'dst'].map((name) => join(folder, name));
  writeFileSync(source, noise(50_000));
  await succeed(runCasync(['sync', source, destination]));
  const shown = await succeed(runCasync(['map', 'show', destination]));
  t.regex(
    `${shown.stdout}`,
    /^Map: .*dst\.caibx\nState: clean\nBelongs to: file .*Journal: none\n/s,
  );
  const json = await succeed(runCasync(['map', 'show', '--json', destination]));
  t.like(JSON.parse(`${json.stdout}`), {
    action: 'show',
    map: { condition: 'clean', size: 50_000 },
  });
  const bytes = readFileSync(destination);
  bytes[49_999] ^= 1;
  writeFileSync(destination, bytes);
  const checked = await runCasync(['map', 'check', destination]);
  t.deepEqual([checked.status, `${checked.stdout}`], [1, 'differs 49152 50000\n']);
  await succeed(runCasync(['map', 'forget', destination]));
  t.is((await runCasync(['map', 'show', destination])).status, 10);
  const wrong = await runCasync(['map', 'burn', destination]);
  t.is(wrong.status, 1);
  t.regex(`${wrong.stderr}`, /Expected show, check, rebuild, bind, forget and a file or device/);
});

test('a digest that only maps know is refused by all others', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  const knowing: string[] = [];
  for (const { name } of VERBS) {
    const { status, stderr } = await runCasync([name, '--digest=blake2b-256'], { cwd: folder });
    t.is(status, 1, name);
    if (`${stderr}`.startsWith('Failed to parse --digest= parameter: blake2b-256')) continue;
    knowing.push(name);
  }
  t.deepEqual(knowing, ['sync', 'map']);
  const [source, destination] = ['source', 'dst'].map((name) => join(folder, name));
  writeFileSync(source, noise(50_000));
  await succeed(runCasync(['sync', '--digest=blake2b-256', source, destination]));
  const shown = await succeed(runCasync(['map', 'show', destination]));
  t.regex(`${shown.stdout}`, /^Digest: blake2b-256$/m);
});
