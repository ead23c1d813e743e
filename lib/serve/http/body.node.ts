/** Bodies of requests and answers on sockets. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CasError, LimitExceeded } from '../../../formats/errors.ts';
import type { FilePart } from './answer.ts';
import { PIECE_BYTES } from './served-place.ts';

/** Whether a request says that it has a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/**
 * All of a request's body.
 * @throws CasError `LIMIT_EXCEEDED` above `limit` bytes; `ABORTED` if it does not arrive
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const settle = (action: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      action();
    };
    const onData = (piece: Buffer): void => {
      length += piece.length;
      pieces.push(piece);
      if (length <= limit) return;
      request.pause();
      settle(() => reject(new LimitExceeded({ reason: `more than ${limit} bytes` })));
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(pieces, length)));
    const onClose = (): void =>
      settle(() => reject(new CasError('ABORTED', { reason: 'the connection was closed' })));
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    if (request.destroyed) onClose();
  });
}

/**
 * Sends a part of a file, no faster than it is taken; closes the file. When the file fails, the
 * connection is cut: the requester sees that the answer is too short.
 * @returns bytes that were handed over
 */
export async function sendFile(response: ServerResponse, part: FilePart): Promise<number> {
  const { file, offset, length } = part;
  let done = 0;
  try {
    while (done < length && !response.destroyed) {
      const size = Math.min(PIECE_BYTES, length - done);
      const bytes = await file.read({ offset: offset + done, length: size });
      done += size;
      if (!response.write(bytes)) await drained(response);
    }
    response.end();
  } catch {
    response.destroy();
  } finally {
    file.close();
  }
  return done;
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
