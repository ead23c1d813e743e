/** One random tree through both programs, in both directions. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareTrees } from '../helpers/tree-snapshot.ts';
import { makeRandomTree, randomTreeOptions } from '../property/trees.ts';
import { type CaseReport, type CaseSetting, Differences, runBoth } from './case.ts';
import {
  type MakeOptions,
  randomFeatures,
  randomStoreOptions,
  randomTreeMakeOptions,
} from './random-options.ts';

const TIME_FEATURES = 0x78n;
const USEC_TIME = 0x10n;
const READ_ONLY = 0x80n;
const NUMERIC_IDS = 0x3n;
const USER_NAMES = 0x4n;
/** In an index and in the first record of an archive alike. */
const FLAGS_OFFSET = 16;
const LONGEST_REFERENCE_NAME = 237;
const READ_COMMANDS_PER_CASE = 2;

interface TreeCase extends CaseSetting {
  readonly differences: Differences;
  readonly options: MakeOptions;
  readonly tree: string;
  readonly suffix: '.catar' | '.caidx';
  /** The reference cannot extract this tree; we can. */
  readonly beyondReference: boolean;
}

/** Makes a random tree and compares everything the two programs do with it. */
export async function compareTreeCase(setting: CaseSetting): Promise<CaseReport> {
  const { random, folder } = setting;
  const tree = join(folder, 'tree');
  const treeOptions = randomTreeOptions(random.fork(2));
  const hasExcludes = makeRandomTree(tree, random.fork(1), treeOptions);
  const options = randomTreeMakeOptions(random, hasExcludes);
  const suffix = random.pick(['.catar', '.caidx', '.caidx'] as const);
  const differences = new Differences();
  // Its temporary names get too long, and it sets times before 1970 as times far in the future.
  const beyondReference = treeOptions.maxNameLength > LONGEST_REFERENCE_NAME || treeOptions.ancient;
  const what = { tree, suffix, options, beyondReference };
  const treeCase: TreeCase = { ...setting, ...what, differences };

  const made = await makeBoth(treeCase);
  if (made) {
    const flags = readFileSync(archiveOf(treeCase, 'reference')).readBigUInt64LE(FLAGS_OFFSET);
    if (referenceCanRead(flags)) {
      await compareExtraction(treeCase, flags);
      await compareReading(treeCase);
    }
  }
  return { differences: differences.lines, bothFailed: !made };
}

/** Two bugs of the reference: it cannot read what it has written itself with these features. */
function referenceCanRead(flags: bigint): boolean {
  if ((flags & USEC_TIME) !== 0n) return false;
  return (flags & USER_NAMES) === 0n || (flags & NUMERIC_IDS) !== 0n;
}

function archiveOf(treeCase: TreeCase, program: 'ours' | 'reference'): string {
  return join(treeCase.folder, program + treeCase.suffix);
}

/** The option, for indexes only: the reference also fills a store while it makes an archive. */
function storeOf(treeCase: TreeCase, program: 'ours' | 'reference'): readonly string[] {
  if (treeCase.suffix === '.catar') return [];
  return [`--store=${join(treeCase.folder, program)}.castr`];
}

/** @returns whether both succeeded */
async function makeBoth(treeCase: TreeCase): Promise<boolean> {
  const { differences, folder, random, tree } = treeCase;
  const options = [...treeCase.options.make, ...randomStoreOptions(random, false)];
  const words = (program: 'ours' | 'reference'): readonly string[] => {
    const verb = ['make', archiveOf(treeCase, program), tree];
    return [...options, ...storeOf(treeCase, program), ...verb];
  };
  const reference = await treeCase.reference(words('reference'));
  const ours = await treeCase.ours(words('ours'));
  // The reference writes an archive that no program can read.
  if (ours.stderr.includes('two entries of the ACL become the same')) return false;
  if (!differences.outcome('make', { ours, reference })) {
    if (existsSync(archiveOf(treeCase, 'ours')) && ours.status !== 0) {
      differences.add('make: failed, but the output is there', ours);
    }
    return false;
  }
  differences.files('make', archiveOf(treeCase, 'ours'), archiveOf(treeCase, 'reference'));
  differences.stores(join(folder, 'ours.castr'), join(folder, 'reference.castr'));
  return true;
}

/** Each program extracts what the other made. */
async function compareExtraction(treeCase: TreeCase, flags: bigint): Promise<void> {
  const { differences, folder, random } = treeCase;
  const mask = random.chance(0.2) ? randomFeatures(random) : [];
  const options = [...treeCase.options.owners, ...mask];
  if (treeCase.suffix === '.caidx' && random.chance(0.2)) options.push(`--seed=${treeCase.tree}`);
  const target = (program: string): string => join(folder, `extracted-by-${program}`);
  const reference = await treeCase.reference([
    ...options,
    ...storeOf(treeCase, 'ours'),
    'extract',
    archiveOf(treeCase, 'ours'),
    target('reference'),
  ]);
  const ours = await treeCase.ours([
    ...options,
    ...storeOf(treeCase, 'reference'),
    'extract',
    archiveOf(treeCase, 'reference'),
    target('ours'),
  ]);
  if (treeCase.beyondReference && reference.status !== 0) {
    if (ours.status !== 0) differences.add('extract: ours fails', ours);
    return;
  }
  if (!differences.outcome('extract', { ours, reference })) return;
  const lines = compareTrees(target('reference'), target('ours'), {
    times: mask.length === 0 && (flags & TIME_FEATURES) !== 0n,
    // The reference takes all permissions from what is read-only.
    mode: (flags & READ_ONLY) === 0n && mask.length === 0,
  });
  if (lines.length > 0) {
    const text = lines.map((line) => `    ${line}`).join('\n');
    differences.add(`extract: the trees differ (reference / ours)\n${text}`, reference, ours);
  }
}

/** Commands that print, on the archive and on the folder. */
async function compareReading(treeCase: TreeCase): Promise<void> {
  const { differences, options, random, tree } = treeCase;
  const archive = archiveOf(treeCase, 'ours');
  const fromArchive = [...storeOf(treeCase, 'ours'), options.digest, ...options.owners];
  const commands: readonly (readonly string[])[] = [
    [...fromArchive, 'list', archive],
    [...fromArchive, 'mtree', archive],
    [...fromArchive, 'stat', archive],
    [...fromArchive, 'digest', archive],
    [...fromArchive, '--recursive=no', 'list', archive],
    [...options.make, 'list', tree],
    [...options.make, 'mtree', tree],
    [...options.make, 'digest', tree],
    await onSubtree(treeCase, fromArchive, archive),
  ];
  for (let i = 0; i < READ_COMMANDS_PER_CASE; i++) {
    const words = random.pick(commands);
    differences.outcome('reading', await runBoth(treeCase, words));
  }
}

/** A command on something below the root, whose name can be an argument of a Node child process. */
async function onSubtree(
  { random, reference }: TreeCase,
  options: readonly string[],
  archive: string,
): Promise<readonly string[]> {
  const listing = await reference([...options, 'list', archive]);
  const paths = listing.stdout
    .toString('latin1')
    .split('\n')
    .map((line) => line.slice(11));
  const plain = paths.filter((path) => path !== '' && path !== '.' && !path.includes('\\'));
  if (plain.length === 0) return [...options, 'stat', archive];
  const verb = random.pick(['list', 'mtree', 'stat', 'digest']);
  return [...options, verb, archive, random.pick(plain)];
}
