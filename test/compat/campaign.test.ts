/** The comparison itself: equal programs are equal, and every kind of difference is seen. */
import { appendFileSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { runReference } from '../helpers/run-casync.ts';
import { runCampaign } from './campaign.ts';
import type { Program } from './case.ts';
import { compareBlobCase } from './compare-blobs.ts';
import { compareTreeCase } from './compare-trees.ts';

const SEED = 1;

/** The reference, with something done to its result behind its back. */
function spoiled(verb: string, spoil: (output: string, store: string) => void): Program {
  return async (args, options) => {
    const result = await runReference(args, options);
    const at = args.indexOf(verb);
    const store = args.find((word) => word.startsWith('--store='))?.slice('--store='.length);
    if (at < 0 || result.status !== 0) return result;
    if (verb === 'make') spoil(args[at + 1], store ?? '');
    else if (verb === 'extract') spoil(args[at + 2], store ?? '');
    else return { ...result, stdout: Buffer.concat([result.stdout, Buffer.from('more')]) };
    return result;
  };
}

function removeOneChunk(store: string): void {
  const [shard] = readdirSync(store);
  const [name] = readdirSync(join(store, shard));
  unlinkSync(join(store, shard, name));
}

test('the reference is equal to itself on trees', async (t) => {
  if (!requirement(t, { root: true, commands: ['casync'] })) return;
  const { failures } = await runCampaign({
    seed: SEED,
    count: 15,
    compare: compareTreeCase,
    ours: runReference,
    reference: runReference,
  });
  // What only ours can extract, it cannot extract in our place either.
  const expected = /^extract: ours fails/;
  const unexpected = failures.flatMap(({ differences }) =>
    differences.filter((difference) => !expected.test(difference)),
  );
  t.deepEqual(unexpected, []);
});

const SPOILED: Readonly<Record<string, readonly [RegExp, Program]>> = {
  'a wrong index': [/make: files/, spoiled('make', (output) => appendFileSync(output, 'x'))],
  'a missing chunk': [
    /1 chunks are missing/,
    spoiled('make', (output, store) => {
      if (output.endsWith('.caibx') && store !== '') removeOneChunk(store);
    }),
  ],
  'a wrong extraction': [
    /not the blob when extracted by ours/,
    spoiled('extract', (output) => appendFileSync(output, 'x')),
  ],
  'a wrong digest': [/digest: output differs/, spoiled('digest', () => {})],
};

for (const [what, [complaint, ours]] of Object.entries(SPOILED)) {
  test(`the comparison of blobs sees ${what}`, async (t) => {
    if (!requirement(t, { root: true, commands: ['casync'] })) return;
    const reference = runReference;
    const options = { seed: SEED, count: 8, compare: compareBlobCase, ours, reference };
    const { failures } = await runCampaign(options);
    t.regex(failures.flatMap(({ differences }) => differences).join('\n'), complaint);
  });
}
