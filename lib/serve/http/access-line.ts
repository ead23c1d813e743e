/** One line of the access log for a request (spec/remote.md, "Access log"). */
import { escapeBytes } from '../../../formats/escape.ts';

export interface LoggedRequest {
  readonly time: Date;
  /** Of the client; empty where it has none. */
  readonly address: string;
  readonly method: string;
  /** As it was sent; what may be secret in it is left out. */
  readonly target: string;
  readonly status: number;
  /** Bytes of the answer's body that were sent. */
  readonly bytesSent: number;
  readonly seconds: number;
  /** Whether the answer was sent to its end. */
  readonly isComplete: boolean;
}

const LONGEST = 512;
const USER = /@|%40/i;
const NOTHING = '-';

/** Fields are separated by one space and contain none. */
export function accessLine(request: LoggedRequest): string {
  const { time, address, method, status, bytesSent, seconds, isComplete } = request;
  const fields = [
    time.toISOString(),
    address === '' ? NOTHING : address,
    method,
    shownTarget(request.target),
    status,
    bytesSent,
    `${(1000 * seconds).toFixed(1)}ms`,
    isComplete ? 'complete' : 'broken',
  ];
  return `${fields.join(' ')}\n`;
}

/** The path without its query. Where somebody may have put a password, nothing is shown. */
function shownTarget(target: string): string {
  const path = target.replace(/[?;#].*$/s, '');
  if (!path.startsWith('/') || USER.test(path)) return NOTHING;
  const bytes = Uint8Array.from(path.slice(0, LONGEST), (character) => character.charCodeAt(0));
  return escapeBytes(bytes);
}
