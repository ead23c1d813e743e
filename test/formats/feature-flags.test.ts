import test from 'ava';
import {
  ALL_FEATURES,
  checkFlags,
  digestOfFlags,
  FEATURE,
  FEATURE_GROUP_NAMES,
  FEATURE_NAMES,
  type FeatureSelection,
  maskFlags,
  normaliseFlags,
  parseFeature,
  selectFlags,
  timeGranularity,
} from '../../formats/feature-flags.ts';
import { vectors } from '../helpers/golden.ts';

interface Vectors {
  readonly names: readonly string[];
  readonly groups: Readonly<Record<string, string>>;
  readonly cases: readonly {
    readonly what: 'archive' | 'blob-index';
    readonly options: readonly string[];
    readonly flags: string;
  }[];
  readonly normalisation: readonly { readonly flags: string; readonly normalised: string }[];
}

const VECTORS = vectors<Vectors>('feature-flags');

const fromHex = (text: string): bigint => BigInt(`0x${text}`);

/** What the program makes of its options, in the little that these cases use. */
function selectionOf(what: string, options: readonly string[]): FeatureSelection {
  const values = (name: string) =>
    options.filter((o) => o.startsWith(`--${name}=`)).map((o) => o.slice(name.length + 3));
  const features = (name: string) =>
    values(name).reduce((flags, value) => flags | (parseFeature(value) ?? 1n << 99n), 0n);
  return {
    with: features('with'),
    without: features('without'),
    defaultWith: what === 'blob-index' ? 0n : ALL_FEATURES,
    excludeNodump: !values('exclude-nodump').includes('no'),
    excludeSubmounts: values('exclude-submounts').includes('yes'),
    excludeFile: !values('exclude-file').includes('no'),
    digest: values('digest').includes('sha256') ? 'sha256' : 'sha512-256',
  };
}

test('options give the flags that the original stores', (t) => {
  for (const { what, options, flags } of VECTORS.cases) {
    t.is(selectFlags(selectionOf(what, options)), fromHex(flags), `${what} ${options.join(' ')}`);
  }
});

test('single features have their names in the order of their bits', (t) => {
  t.deepEqual(
    FEATURE_NAMES.map(([name]) => name),
    VECTORS.names,
  );
  VECTORS.names.forEach((name, bit) => {
    t.is(parseFeature(name), 1n << BigInt(bit));
  });
});

test('groups stand for the bits of the original', (t) => {
  t.deepEqual([...FEATURE_GROUP_NAMES].sort(), Object.keys(VECTORS.groups).sort());
  for (const [name, flags] of Object.entries(VECTORS.groups)) {
    t.is(parseFeature(name), fromHex(flags), name);
  }
});

test('names that are not features are unknown', (t) => {
  for (const name of ['', 'help', 'Best', 'exclude-nodump', 'sha512-256', 'constructor']) {
    t.is(parseFeature(name), undefined, name);
  }
});

test('normalisation gives the values of the specification, and changes them no further', (t) => {
  for (const { flags, normalised } of VECTORS.normalisation) {
    t.is(normaliseFlags(fromHex(flags)), fromHex(normalised), flags);
    t.is(normaliseFlags(fromHex(normalised)), fromHex(normalised), normalised);
  }
});

const refusal = (flags: bigint): string | undefined => {
  try {
    checkFlags(flags, (expectation) => new Error(expectation));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'not an error';
  }
};

test('a reader accepts exactly the normalised values', (t) => {
  for (const { flags, normalised } of VECTORS.normalisation) {
    t.is(refusal(fromHex(flags)) === undefined, flags === normalised, flags);
  }
});

test('a reader refuses every unknown bit and names it', (t) => {
  for (let bit = 33n; bit < 60n; bit++) {
    t.is(refusal(1n << bit), `feature flags 0x${(1n << bit).toString(16)} are not known`);
  }
});

test('a reader refuses the value for "unknown"', (t) => {
  t.is(refusal(0xffff_ffff_ffff_ffffn), 'feature flags must be set');
});

test('one bit chooses the digest', (t) => {
  t.is(digestOfFlags(FEATURE.sha512_256), 'sha512-256');
  t.is(digestOfFlags(0xdfff_ffff_ffff_ffffn), 'sha256');
});

test('times have the granularity of their feature', (t) => {
  const { timeNsec, timeUsec, timeSec, time2Sec } = FEATURE;
  t.deepEqual([timeNsec, timeUsec, timeSec, time2Sec].map(timeGranularity), [
    1n,
    1000n,
    1_000_000_000n,
    2_000_000_000n,
  ]);
  t.is(timeGranularity(ALL_FEATURES & ~(timeNsec | timeUsec | timeSec | time2Sec)), 0n);
});

test('a mask of everything leaves the flags of a default archive as they are', (t) => {
  const flags = selectFlags(selectionOf('archive', []));
  t.is(maskFlags(flags, ALL_FEATURES), flags);
});

test('masking again changes nothing', (t) => {
  for (const { flags } of VECTORS.cases) {
    const masked = maskFlags(fromHex(flags), FEATURE.readOnly | FEATURE.time2Sec | FEATURE.acl);
    t.is(maskFlags(masked, FEATURE.readOnly | FEATURE.time2Sec | FEATURE.acl), masked, flags);
  }
});

test('a mask lets a coarser form of what is recorded pass', (t) => {
  const { uids32, uids16, timeNsec, time2Sec, acl, permissions, readOnly } = FEATURE;
  t.is(maskFlags(uids32, uids16), uids32);
  t.is(maskFlags(uids16, uids32), uids32);
  t.is(maskFlags(timeNsec, time2Sec), timeNsec);
  t.is(maskFlags(acl | uids32, permissions), permissions);
  t.is(maskFlags(acl | uids32, readOnly), readOnly);
  t.is(maskFlags(permissions, readOnly), readOnly);
  t.is(maskFlags(readOnly, permissions), readOnly);
});

test('a mask that lets nothing pass leaves how the archive was made', (t) => {
  const made = FEATURE.excludeNodump | FEATURE.excludeFile | FEATURE.sha512_256;
  t.is(maskFlags(made | FEATURE.symlinks | FEATURE.acl | FEATURE.uids32, 0n), made);
});

test('a mask keeps chattr flag d of an archive that records it', (t) => {
  t.is(maskFlags(FEATURE.flagNodump, ALL_FEATURES), FEATURE.flagNodump);
});
