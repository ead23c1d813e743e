/** `npm run test:fault`: kills make and extract at a hundred points. Status 1 if anything is wrong. */
import { missingRequirements } from '../helpers/requirements.ts';
import { canTrace } from './kill-points.ts';
import { SCENARIOS } from './scenarios.ts';
import { sweep } from './sweep.ts';

const missing = missingRequirements({ root: true, commands: ['casync'] });
if (missing.length > 0) {
  console.error(`cannot test faults: needs ${missing.join(', ')}`);
  process.exit(1);
}
if (!canTrace()) console.log('no tracing here: killing at moments instead of system calls');

let failed = 0;
let passed = 0;
for (const { scenario, pointCount } of SCENARIOS) {
  const startedMs = Date.now();
  const { availableCount, killedCount, complaints } = await sweep(scenario, pointCount);
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(0);
  console.log(
    `${scenario.name}: killed at ${killedCount} of ${availableCount} points, ` +
      `${complaints.length} complaints, ${seconds} s`,
  );
  for (const complaint of complaints) console.log(`  ${complaint}`);
  // A sweep that kills nothing proves nothing.
  const enough = killedCount >= Math.min(pointCount, availableCount) / 2;
  if (!enough) console.log('  too few of the chosen points were reached');
  if (complaints.length === 0 && enough) passed++;
  else failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
