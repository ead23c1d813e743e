/**
 * `npm run test:compat -- --seed=N --trees=500 --blobs=500 [--first=N] [--keep]`: a long comparison
 * with the reference. Status 1 if anything differs.
 */
import { parseArgs } from 'node:util';
import { missingRequirements } from '../helpers/requirements.ts';
import { runCasync, runReference } from '../helpers/run-casync.ts';
import { runCampaign } from './campaign.ts';
import { compareBlobCase } from './compare-blobs.ts';
import { compareTreeCase } from './compare-trees.ts';

const PROGRESS_EVERY = 50;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    trees: { type: 'string', default: '500' },
    blobs: { type: 'string', default: '500' },
    first: { type: 'string', default: '0' },
    keep: { type: 'boolean', default: false },
  },
});

const missing = missingRequirements({ root: true, commands: ['casync'] });
if (missing.length > 0) {
  console.error(`cannot compare: needs ${missing.join(', ')}`);
  process.exit(1);
}

let failed = 0;
let passed = 0;
const kinds = [
  { name: 'trees', count: Number(values.trees), compare: compareTreeCase },
  { name: 'blobs', count: Number(values.blobs), compare: compareBlobCase },
];
for (const { name, count, compare } of kinds) {
  const startedMs = Date.now();
  let done = 0;
  console.log(`${count} random ${name}, seed ${values.seed}`);
  const result = await runCampaign({
    seed: Number(values.seed),
    first: Number(values.first),
    count,
    compare,
    ours: runCasync,
    reference: runReference,
    keep: values.keep,
    onCase: (number, report) => {
      done++;
      for (const difference of report.differences) console.log(`${name} ${number}: ${difference}`);
      if (done % PROGRESS_EVERY === 0) console.log(`  ${done} of ${count}`);
    },
  });
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(0);
  console.log(
    `${name}: ${count - result.failures.length} equal (${result.bothFailedCount} refused by both), ` +
      `${result.failures.length} different, ${seconds} s`,
  );
  for (const { number } of result.failures.slice(0, 3)) {
    const others = kinds.filter((kind) => kind.name !== name).map((kind) => ` --${kind.name}=0`);
    const again = `--seed=${values.seed} --first=${number} --${name}=1${others.join('')} --keep`;
    console.log(`  again: npm run test:compat -- ${again}`);
  }
  failed += result.failures.length;
  passed += count - result.failures.length;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
