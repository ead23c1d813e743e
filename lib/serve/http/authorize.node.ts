/** Whether a request may write: by a token, compared in constant time (spec/remote.md, "Uploads"). */
import { createHash, timingSafeEqual } from 'node:crypto';
import { PipelineError } from '../../errors.ts';

const SHORTEST_TOKEN = 16;
/** What a header can carry without an escape. */
const TOKEN = /^[\x21-\x7e]+$/;
const BEARER = /^bearer +([\x21-\x7e]+) *$/i;
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

export type Authorize = (authorization: string | undefined) => boolean;

/**
 * @param text one token a line; empty lines and those that begin with `#` do not count
 * @throws CasError `USAGE` without any, or with one that is short or cannot be sent. It does not show it
 */
export function createAuthorizer(text: string): Authorize {
  const lines = text.split('\n').map((line) => line.trim());
  const tokens = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (tokens.length === 0) throw refuse('no token for uploads');
  for (const token of tokens) {
    if (token.length < SHORTEST_TOKEN)
      throw refuse(`a token has at least ${SHORTEST_TOKEN} characters`);
    if (!TOKEN.test(token)) throw refuse('a token has printable ASCII characters only');
  }
  const digests = tokens.map(digestOf);
  return (authorization) => {
    const given = authorization === undefined ? undefined : tokenOf(authorization);
    if (given === undefined) return false;
    const digest = digestOf(given);
    // All of them, always: how long it takes says nothing.
    return digests.reduce((isGood, each) => timingSafeEqual(each, digest) || isGood, false);
  };
}

function refuse(reason: string): PipelineError {
  return new PipelineError('USAGE', { reason });
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** The token as bearer, or as the password of any user. */
function tokenOf(authorization: string): string | undefined {
  const bearer = BEARER.exec(authorization)?.[1];
  if (bearer !== undefined) return bearer;
  const basic = BASIC.exec(authorization)?.[1];
  if (basic === undefined) return undefined;
  const pair = Buffer.from(basic, 'base64').toString('latin1');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : pair.slice(colon + 1);
}
