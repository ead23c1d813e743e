/** Random options of `make` that mean the same to the reference and to us. */
import type { Random } from '../property/random.ts';

/** Single features that change what a tree looks like; FAT and btrfs ones are without effect here. */
const FEATURES = [
  '16bit-uids',
  '32bit-uids',
  'user-names',
  'sec-time',
  'usec-time',
  'nsec-time',
  '2sec-time',
  'read-only',
  'permissions',
  'symlinks',
  'device-nodes',
  'fifos',
  'sockets',
  'flag-hidden',
  'flag-append',
  'flag-noatime',
  'flag-nodump',
  'flag-immutable',
  'flag-sync',
  'xattrs',
  'acl',
  'fcaps',
  'quota-projid',
];
const GROUPS = ['best', 'unix', 'fat', 'chattr', 'fat-attrs', 'privileged', 'fuse', 'all'];
const CHUNK_SIZES = [
  '16384',
  '4096',
  '100003',
  '3000:16384:65537',
  '64K:64K:64K',
  '8192',
  '1M',
  '20000:20001:20002',
  '4096:8192:8192',
];
/** Only for small inputs: thousands of chunk files prove nothing more. */
const SMALL_CHUNK_SIZES = ['1000', '256', '48:100:4000', '1000:1000:1000', '47:48:49', '10:20:30'];

export interface MakeOptions {
  /** For `make`, and for reading a directory as a source. */
  readonly make: readonly string[];
  /** Shift of owners, also for `extract`. */
  readonly owners: readonly string[];
  /** The digest, for commands that print its name. */
  readonly digest: string;
}

/** Options of the chunker, the digest and the compression. The digest is always said. */
export function randomStoreOptions(random: Random, inputIsSmall: boolean): readonly string[] {
  const options: string[] = [];
  const sizes = inputIsSmall ? [...CHUNK_SIZES, ...SMALL_CHUNK_SIZES] : CHUNK_SIZES;
  if (random.chance(0.5)) options.push(`--chunk-size=${random.pick(sizes)}`);
  if (random.chance(0.6)) options.push(`--compression=${random.pick(['zstd', 'xz', 'gzip'])}`);
  return options;
}

/** `--digest=...`; our default is another one than the reference's, so it is always given. */
export function randomDigest(random: Random): string {
  return `--digest=${random.pick(['sha256', 'sha512-256'])}`;
}

/** Options that say what of a tree is recorded. */
export function randomFeatures(random: Random): readonly string[] {
  const options: string[] = [];
  const choice = random.integer(0, 9);
  if (choice < 3) options.push(`--with=${random.pick(GROUPS)}`);
  if (choice >= 3 && choice < 5) {
    options.push(...random.some(FEATURES, 0.3).map((name) => `--with=${name}`));
  }
  if (random.chance(0.3)) {
    const pool = random.chance(0.2) ? GROUPS.slice(1, 7) : FEATURES;
    options.push(...random.some(pool, 0.15).map((name) => `--without=${name}`));
  }
  return options;
}

/** @param hasExcludes the tree has `.caexclude` files, on whose switch the programs differ */
export function randomTreeMakeOptions(random: Random, hasExcludes: boolean): MakeOptions {
  const digest = randomDigest(random);
  const owners: string[] = [];
  if (random.chance(0.07)) owners.push(`--uid-shift=${random.pick([0, 0, 1, 65536, 'yes'])}`);
  if (random.chance(0.05)) owners.push(`--uid-range=${random.pick([65536, 1000, 4294967296])}`);
  const make = [digest, ...randomFeatures(random), ...owners];
  if (random.chance(0.3)) make.push('--exclude-nodump=no');
  if (random.chance(0.1)) make.push('--exclude-submounts=yes');
  if (!hasExcludes && random.chance(0.1)) make.push('--exclude-file=no');
  return { make, owners, digest };
}
