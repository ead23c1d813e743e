/** One random blob through both programs, in both directions. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { changedBlob, randomBlob } from '../property/blobs.ts';
import { type CaseReport, type CaseSetting, Differences, runBoth } from './case.ts';
import { randomDigest, randomFeatures, randomStoreOptions } from './random-options.ts';

const SMALL_BLOB = 50_000;

interface BlobCase extends CaseSetting {
  readonly differences: Differences;
  readonly blob: Buffer;
  readonly digest: string;
}

/** Makes a random blob and compares everything the two programs do with it. */
export async function compareBlobCase(setting: CaseSetting): Promise<CaseReport> {
  const { random, folder } = setting;
  const blob = randomBlob(random.fork(1));
  writeFileSync(join(folder, 'blob'), blob);
  const digest = randomDigest(random);
  const differences = new Differences();
  const blobCase: BlobCase = { ...setting, differences, blob, digest };
  const made = await makeBoth(blobCase);
  if (made) {
    await compareExtraction(blobCase);
    const index = join(folder, 'reference.caibx');
    const store = `--store=${join(folder, 'ours.castr')}`;
    const words = random.pick([
      // The reference uses this digest for every blob index, whatever it is told.
      ['--digest=sha512-256', store, 'digest', index],
      [digest, 'digest', join(folder, 'blob')],
    ]);
    differences.outcome('digest', await runBoth(blobCase, words));
  }
  return { differences: differences.lines, bothFailed: !made };
}

/** @returns whether both succeeded */
async function makeBoth(blobCase: BlobCase): Promise<boolean> {
  const { blob, differences, digest, folder, random } = blobCase;
  const options = [digest, ...randomStoreOptions(random, blob.length < SMALL_BLOB)];
  if (random.chance(0.2)) options.push(...randomFeatures(random));
  const words = (program: string): readonly string[] => [
    ...options,
    `--store=${join(folder, program)}.castr`,
    'make',
    `${join(folder, program)}.caibx`,
    join(folder, 'blob'),
  ];
  const reference = await blobCase.reference(words('reference'));
  const ours = await blobCase.ours(words('ours'));
  if (!differences.outcome('make', { ours, reference })) {
    if (existsSync(join(folder, 'ours.caibx')) && ours.status !== 0) {
      differences.add('make: failed, but the output is there', ours);
    }
    return false;
  }
  differences.files('make', join(folder, 'ours.caibx'), join(folder, 'reference.caibx'));
  differences.stores(join(folder, 'ours.castr'), join(folder, 'reference.castr'));
  return true;
}

/** Each program extracts what the other made, to a new file or over an older version. */
async function compareExtraction(blobCase: BlobCase): Promise<void> {
  const { blob, differences, folder, random } = blobCase;
  const options: string[] = [];
  const older = changedBlob(random, blob);
  if (random.chance(0.3)) {
    writeFileSync(join(folder, 'seed'), older);
    options.push(`--seed=${join(folder, 'seed')}`);
  }
  if (random.chance(0.3)) options.push('--punch-holes=no');
  // The reference fails over existing files; ours must not.
  if (random.chance(0.3)) writeFileSync(join(folder, 'by-ours'), older);
  const words = (maker: string, extractor: string): readonly string[] => [
    ...options,
    `--store=${join(folder, maker)}.castr`,
    'extract',
    `${join(folder, maker)}.caibx`,
    join(folder, `by-${extractor}`),
  ];
  const reference = await blobCase.reference(words('ours', 'reference'));
  const ours = await blobCase.ours(words('reference', 'ours'));
  if (!differences.outcome('extract', { ours, reference })) return;
  for (const program of ['reference', 'ours']) {
    if (!readFileSync(join(folder, `by-${program}`)).equals(blob)) {
      differences.add(`extract: not the blob when extracted by ${program}`, reference, ours);
    }
  }
}
