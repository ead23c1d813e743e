/**
 * `npm run test:remote-fault [-- --points=N] [--seed=N] [--places=NAME,...]`: ends clients and servers
 * in the middle of make and extract. Status 1 if anything is wrong afterwards.
 */

// Its gateway is killed: no other test may share it.
process.env.CASYNC_TEST_GATEWAY = `faults ${process.pid}`;
const { PLACE_KINDS } = await import('../helpers/remote-places.ts');
const { missingRequirements } = await import('../helpers/requirements.ts');
const { sweepRemote } = await import('./remote-sweep.ts');

function option(name: string): string | undefined {
  const prefix = `--${name}=`;
  return process.argv.find((word) => word.startsWith(prefix))?.slice(prefix.length);
}

const seed = Number(option('seed') ?? Math.floor(Math.random() * 2 ** 31));
const pointCount = Number(option('points') ?? 30);
const wanted = option('places')?.split(',');
const isTalkative = process.argv.includes('--verbose');
const kinds = PLACE_KINDS.filter(({ name, canBeKilled }) =>
  wanted === undefined ? canBeKilled : wanted.some((word) => name.startsWith(word)),
);
/** A machine that is busy with other things misses many moments; then there are further ones. */
const MOST_ROUNDS = 4;

async function isKindGood(kind: (typeof kinds)[number]): Promise<boolean> {
  let interrupted = 0;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const startedMs = performance.now();
    const { complaints, interruptedCount, survivedCount } = await sweepRemote({
      kind,
      victims: ['client', 'server'],
      pointCount,
      seed: seed + round,
      ...(isTalkative ? { log: console.log } : {}),
    });
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    console.log(
      `${kind.name}: ${interruptedCount} of ${4 * pointCount} runs interrupted, ` +
        `${survivedCount} of them went on, ${complaints.length} complaints, ${seconds} s`,
    );
    for (const complaint of complaints) console.log(`  ${complaint}`);
    if (complaints.length > 0) return false;
    interrupted += interruptedCount;
    // Interrupting nothing proves nothing.
    if (interrupted >= 2 * pointCount) return true;
  }
  return false;
}

console.log(`seed ${seed}, ${pointCount} points of each`);
let [passed, failed] = [0, 0];
for (const kind of kinds) {
  const missing = missingRequirements(kind.needs);
  if (missing.length > 0) {
    console.log(`${kind.name}: needs ${missing.join(', ')}`);
    failed++;
    continue;
  }
  if (await isKindGood(kind)) passed++;
  else failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
