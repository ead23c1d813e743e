/**
 * What S3 services answer, as values, and what they are sent as XML. Used by the S3 storage only.
 */
import { FormatError } from '../../formats/errors.ts';
import { visitXml } from './s3-xml.ts';

/** An object as a listing has it; the key is the whole one. */
export interface S3Listed {
  readonly key: string;
  readonly size: number;
  readonly modified: Date;
}

/** One page of ListObjectsV2. */
export interface S3Page {
  readonly objects: readonly S3Listed[];
  /** Where the next page begins; undefined if this is the last. */
  readonly next: string | undefined;
}

/** What an answer says in the body of a refusal; empty where it does not say it. */
export interface S3Refusal {
  readonly code: string;
  /** Where the bucket is, if the request went elsewhere. */
  readonly region: string;
}

/** Failure of one object in a batch; the key is the whole one. */
export interface S3KeyFailure {
  readonly key: string;
  readonly code: string;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function textOf(body: Uint8Array): string {
  try {
    return decoder.decode(body);
  } catch {
    throw new FormatError('XML', 'text', 0, 'not UTF-8');
  }
}

/** Reads a page asked for with `encoding-type=url`. @throws FormatError */
export function parseListing(body: Uint8Array): S3Page {
  const objects: S3Listed[] = [];
  let fields: Record<string, string> = {};
  let [isUrlEncoded, isTruncated, next, hasRoot] = [false, false, '', false];
  visitXml(textOf(body), {
    leaf(parent, name, text) {
      if (parent === 'Contents') fields[name] = text;
      else if (parent !== 'ListBucketResult') return;
      else if (name === 'EncodingType') isUrlEncoded = text === 'url';
      else if (name === 'IsTruncated') isTruncated = text === 'true';
      else if (name === 'NextContinuationToken') next = text;
    },
    end(name) {
      if (name === 'ListBucketResult') hasRoot = true;
      if (name !== 'Contents') return;
      objects.push(listedObject(fields));
      fields = {};
    },
  });
  if (!hasRoot) throw new FormatError('S3', 'listing', 0, 'no ListBucketResult');
  if (isTruncated && next === '') throw new FormatError('S3', 'listing', 0, 'no continuation');
  // The kind of encoding may stand behind the keys.
  const decoded = isUrlEncoded ? objects.map(withDecodedKey) : objects;
  return { objects: decoded, next: isTruncated ? next : undefined };
}

function listedObject({ Key, Size, LastModified }: Readonly<Record<string, string>>): S3Listed {
  const [size, modified] = [Number(Size), new Date(LastModified)];
  const isGood = Size !== '' && Number.isSafeInteger(size) && size >= 0;
  if (Key && isGood && !Number.isNaN(modified.getTime())) return { key: Key, size, modified };
  throw new FormatError('S3', 'listing', 0, 'key, size and time of each object');
}

function withDecodedKey(object: S3Listed): S3Listed {
  if (!/[%+]/.test(object.key)) return object;
  try {
    return { ...object, key: decodeURIComponent(object.key.replaceAll('+', ' ')) };
  } catch {
    throw new FormatError('S3', 'listing', 0, 'encoded keys');
  }
}

/** What a refusal says; nothing if its body is something else. */
export function parseRefusal(body: Uint8Array): S3Refusal {
  const fields: Record<string, string> = {};
  try {
    visitXml(textOf(body), {
      leaf(parent, name, text) {
        if (parent === 'Error') fields[name] = text;
      },
      end() {},
    });
  } catch {
    // Proxies refuse with pages of their own.
  }
  return { code: word(fields.Code), region: word(fields.Region) };
}

/** Only what is a word: nobody else's text gets into messages or host names. */
function word(text: string | undefined): string {
  return text !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(text) ? text : '';
}

/** Those of a batch that could not be deleted. @throws FormatError */
export function parseDeleted(body: Uint8Array): readonly S3KeyFailure[] {
  const failures: S3KeyFailure[] = [];
  let [key, code] = ['', ''];
  visitXml(textOf(body), {
    leaf(parent, name, text) {
      if (parent !== 'Error') return;
      if (name === 'Key') key = text;
      if (name === 'Code') code = word(text);
    },
    end(name) {
      if (name !== 'Error') return;
      failures.push({ key, code });
      [key, code] = ['', ''];
    },
  });
  return failures;
}

/** The text of the only element of this name below the root. @throws FormatError */
export function parseField(body: Uint8Array, wanted: string): string {
  let found = '';
  visitXml(textOf(body), {
    leaf(_, name, text) {
      if (name === wanted) found = text;
    },
    end() {},
  });
  if (found === '') throw new FormatError('S3', 'answer', 0, `no ${wanted}`);
  return found;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

/** The body of a batch delete. @param keys whole ones, at most 1000 */
export function deleteBody(keys: readonly string[]): Uint8Array {
  const objects = keys.map((key) => `<Object><Key>${escaped(key)}</Key></Object>`).join('');
  return new TextEncoder().encode(`<Delete><Quiet>true</Quiet>${objects}</Delete>`);
}

/** The body that ends an upload in parts. @param tags of the parts, in order */
export function completionBody(tags: readonly string[]): Uint8Array {
  const parts = tags.map(
    (tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escaped(tag)}</ETag></Part>`,
  );
  const text = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
  return new TextEncoder().encode(text);
}
