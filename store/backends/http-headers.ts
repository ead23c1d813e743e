/** Header fields of foreign answers as numbers. Whatever is malformed is treated as absent. */

/** As undici gives them: names in small letters. */
export interface HttpHeaders {
  readonly [name: string]: string | readonly string[] | undefined;
}

export interface ContentRange {
  /** Offset of the first byte; undefined where the server says that the range is not there. */
  readonly first: number | undefined;
  readonly last: number;
  /** Size of the whole, undefined if the server does not know it. */
  readonly total: number | undefined;
}

/** A field that is there once. */
export function header(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** Fifteen digits are exact in a number. */
function decimal(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

export function contentLength(headers: HttpHeaders): number | undefined {
  return decimal(header(headers, 'content-length'));
}

export function contentRange(headers: HttpHeaders): ContentRange | undefined {
  const match = /^bytes +(?:(\d+)-(\d+)|\*) *\/ *(\d+|\*)$/i.exec(
    header(headers, 'content-range') ?? '',
  );
  if (match === null) return undefined;
  const [first, last, total] = match.slice(1).map(decimal);
  if (first === undefined) {
    const isUnsatisfied = match[1] === undefined && total !== undefined;
    return isUnsatisfied ? { first, last: 0, total } : undefined;
  }
  if (last === undefined || last < first || (total !== undefined && last >= total))
    return undefined;
  return { first, last, total };
}

/** When the server wants to be asked again. @param now milliseconds since 1970 */
export function retryAfterMs(headers: HttpHeaders, now: number): number | undefined {
  const text = header(headers, 'retry-after');
  if (text === undefined) return undefined;
  const seconds = decimal(text.trim());
  if (seconds !== undefined) return seconds * 1000;
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? undefined : Math.max(0, moment - now);
}

/** Since 1970 began if the server does not say. */
export function lastModified(headers: HttpHeaders): Date {
  const moment = Date.parse(header(headers, 'last-modified') ?? '');
  return new Date(Number.isNaN(moment) ? 0 : moment);
}

/** Text that differs when the content does; undefined if the server gives none. */
export function versionOf(headers: HttpHeaders): string | undefined {
  const tag = header(headers, 'etag');
  // Weak tags say that the content means the same, not that it is the same.
  if (tag !== undefined && !tag.startsWith('W/')) return tag;
  return header(headers, 'last-modified');
}
