/**
 * Block maps of bmap-tools, version 2.0, as text and back: which blocks of a sparse file are to be
 * written, with checksums (spec/formats/delta.md, "Sparse form"). Ours say besides what was there before;
 * other programs skip that. Reads versions 1.x, too.
 */
import { CasError, FormatError, LimitExceeded } from './errors.ts';

/** Digests of ranges, as the file calls them. */
export type BmapChecksumType = 'sha1' | 'sha256';

export interface BmapRange {
  readonly first: number;
  readonly last: number;
  /** Hex digits; undefined in files before version 1.3. */
  readonly checksum: string | undefined;
  /** Root of the blocks that were there before, hex digits; of our files only. */
  readonly was?: string | undefined;
}

/** What our files say besides: between which versions of an image they lead. */
export interface BmapDelta {
  /** Digest of the roots, as `--digest` calls it. */
  readonly digest: string;
  readonly baseSize: number;
  readonly baseRoot: string;
  readonly resultRoot: string;
}

export interface BmapHead {
  /** In bytes. */
  readonly imageSize: number;
  readonly blockSize: number;
}

export interface Bmap extends BmapHead {
  readonly checksumType: BmapChecksumType | undefined;
  /** Of the file with zeros in place of these digits, and where these are; from version 1.3 on. */
  readonly fileChecksum: { readonly digits: string; readonly offset: number } | undefined;
  readonly delta: BmapDelta | undefined;
  /** Ascending. */
  readonly ranges: readonly BmapRange[];
}

/** Longest file that is read, in bytes. */
export const MAX_BMAP_LENGTH = 64 * 1024 * 1024;
const COUNT_WIDTH = 16;
const CHECKSUM_LENGTH = 64;
const VERSION = '2.0';

/** The begin of a file, and where the two values belong that are known at the end. */
export function encodeBmapHead({ imageSize, blockSize }: BmapHead): {
  readonly text: string;
  /** Of {@link bmapCount}. */
  readonly countOffset: number;
  /** Of 64 hex digits: SHA-256 of the file, in which these are zeros. */
  readonly checksumOffset: number;
} {
  const begin =
    `<?xml version="1.0" ?>\n<bmap version="${VERSION}">\n` +
    `    <ImageSize> ${imageSize} </ImageSize>\n` +
    `    <BlockSize> ${blockSize} </BlockSize>\n` +
    `    <BlocksCount> ${Math.ceil(imageSize / blockSize)} </BlocksCount>\n` +
    '    <MappedBlocksCount> ';
  const middle =
    ' </MappedBlocksCount>\n    <ChecksumType> sha256 </ChecksumType>\n    <BmapFileChecksum> ';
  const text =
    `${begin}${bmapCount(0)}${middle}${'0'.repeat(CHECKSUM_LENGTH)} </BmapFileChecksum>\n` +
    '    <BlockMap>\n';
  const checksumOffset = begin.length + COUNT_WIDTH + middle.length;
  return { text, countOffset: begin.length, checksumOffset };
}

/** A number of blocks, always as long. */
export function bmapCount(count: number): string {
  return String(count).padEnd(COUNT_WIDTH);
}

export function encodeBmapRange({ first, last, checksum, was }: BmapRange): string {
  const attributes = [
    ...(checksum === undefined ? [] : [`chksum="${checksum}"`]),
    ...(was === undefined ? [] : [`was="${was}"`]),
  ].join(' ');
  return `        <Range ${attributes}> ${first === last ? first : `${first}-${last}`} </Range>\n`;
}

export function encodeBmapTail(delta: BmapDelta | undefined): string {
  const end = '    </BlockMap>\n';
  if (delta === undefined) return `${end}</bmap>\n`;
  const { digest, baseSize, baseRoot, resultRoot } = delta;
  return (
    `${end}    <CasyncDelta digest="${digest}" base-size="${baseSize}" ` +
    `base-root="${baseRoot}" result-root="${resultRoot}" />\n</bmap>\n`
  );
}

/** Whether a file that begins with these bytes is likely to be a block map. */
export function isBmap(bytes: Uint8Array): boolean {
  return /^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?(-->|$)\s*)*(<bmap\s|$)/.test(textOf(bytes));
}

/** @throws FormatError for what is no block map, LimitExceeded for one that is too long */
export function decodeBmap(bytes: Uint8Array): Bmap {
  if (bytes.length > MAX_BMAP_LENGTH) {
    throw new LimitExceeded({ step: 'read bmap', reason: 'block maps have at most 64 MiB' });
  }
  const text = withoutComments(textOf(bytes));
  const version = /<bmap\s+version="(\d{1,4})\.(\d{1,4})"\s*>/.exec(text);
  if (version === null) throw failure('bmap', 0, 'not a block map');
  if (Number(version[1]) > 2) {
    throw failure('bmap', version.index, `version ${version[1]}.${version[2]} is not known`);
  }
  const imageSize = numberOf(text, 'ImageSize');
  const blockSize = numberOf(text, 'BlockSize');
  const blockCount = numberOf(text, 'BlocksCount');
  if (blockSize === 0 || blockCount !== Math.ceil(imageSize / blockSize)) {
    throw failure('BlocksCount', 0, 'sizes do not fit each other');
  }
  const type = element(text, 'ChecksumType')?.value ?? sha1Of(text);
  if (type !== undefined && type !== 'sha1' && type !== 'sha256') {
    throw new CasError('UNSUPPORTED', { step: 'read bmap', reason: `checksums of type ${type}` });
  }
  const ranges = rangesOf(text, blockCount, type);
  const sum = element(text, 'BmapFileChecksum') ?? element(text, 'BmapFileSHA1');
  return {
    imageSize,
    blockSize,
    checksumType: type,
    fileChecksum: sum && { digits: sum.value, offset: sum.offset },
    delta: deltaOf(text),
    ranges,
  };
}

function sha1Of(text: string): string | undefined {
  return element(text, 'BmapFileSHA1') === undefined ? undefined : 'sha1';
}

/** Comments become blanks, so that offsets stay. */
function withoutComments(text: string): string {
  const parts: string[] = [];
  let end = 0;
  for (;;) {
    const start = text.indexOf('<!--', end);
    if (start < 0) break;
    const close = text.indexOf('-->', start + 4);
    if (close < 0) throw failure('comment', start, 'it does not end');
    parts.push(text.slice(end, start), ' '.repeat(close + 3 - start));
    end = close + 3;
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(end);
}

function element(text: string, name: string) {
  const open = `<${name}>`;
  const start = text.indexOf(open);
  if (start < 0) return undefined;
  const from = start + open.length;
  const end = text.indexOf(`</${name}>`, from);
  if (end < 0 || end - from > 1024) throw failure(name, start, 'the element does not end');
  const inner = text.slice(from, end);
  const value = inner.trim();
  return { value, offset: from + inner.indexOf(value) };
}

function numberOf(text: string, name: string): number {
  const found = element(text, name);
  const value = found !== undefined && /^\d{1,15}$/.test(found.value) ? Number(found.value) : -1;
  if (value >= 0) return value;
  throw failure(name, found?.offset ?? 0, 'a number expected');
}

const RANGE =
  /\s*<Range((?:\s+[\w-]{1,32}="[^"<>]{0,256}")*)\s*>\s*(\d{1,15})(?:-(\d{1,15}))?\s*<\/Range>/y;

function rangesOf(
  text: string,
  blockCount: number,
  type: BmapChecksumType | undefined,
): readonly BmapRange[] {
  const open = text.indexOf('<BlockMap>');
  const end = text.indexOf('</BlockMap>');
  if (open < 0 || end < open) throw failure('BlockMap', Math.max(open, 0), 'it is missing');
  const ranges: BmapRange[] = [];
  let next = 0;
  RANGE.lastIndex = open + '<BlockMap>'.length;
  for (;;) {
    const at = RANGE.lastIndex;
    const match = RANGE.exec(text);
    if (match === null || match.index >= end) {
      if (text.slice(at, end).trim() === '') return ranges;
      throw failure('Range', at, 'a range expected');
    }
    const [, attributes, low, high = low] = match;
    const [first, last] = [Number(low), Number(high)];
    if (first < next || last < first || last >= blockCount) {
      throw failure('Range', match.index, 'ranges must ascend within the image');
    }
    next = last + 1;
    const checksum =
      attribute(attributes, type === 'sha1' ? 'sha1' : 'chksum') ?? attribute(attributes, 'chksum');
    const was = attribute(attributes, 'was');
    ranges.push({ first, last, checksum, ...(was === undefined ? {} : { was }) });
  }
}

function attribute(attributes: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([0-9a-zA-Z-]*)"`).exec(attributes)?.[1];
}

function deltaOf(text: string): BmapDelta | undefined {
  const start = text.indexOf('<CasyncDelta ');
  if (start < 0) return undefined;
  const attributes = text.slice(start + '<CasyncDelta'.length, text.indexOf('>', start));
  const [digest, size, baseRoot, resultRoot] = [
    'digest',
    'base-size',
    'base-root',
    'result-root',
  ].map((name) => attribute(attributes, name));
  const isWhole =
    digest !== undefined &&
    /^\d{1,15}$/.test(size ?? '') &&
    [baseRoot, resultRoot].every((root) => /^[0-9a-f]{64}$/.test(root ?? ''));
  if (!isWhole) throw failure('CasyncDelta', start, 'attributes are missing');
  return { digest, baseSize: Number(size), baseRoot: baseRoot ?? '', resultRoot: resultRoot ?? '' };
}

function textOf(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let start = 0; start < bytes.length; start += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(start, start + 8192)));
  }
  return parts.join('');
}

function failure(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('bmap', record, offset, expectation);
}
