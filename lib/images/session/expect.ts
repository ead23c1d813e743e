/** Receiving where only certain messages may come. */
import { FormatError } from '../../../formats/errors.ts';
import type { SessionConnection, SessionMessage } from './connection.ts';

/**
 * @param kinds that may come now
 * @throws FormatError for others, and for the end
 */
export async function expectMessage(
  connection: SessionConnection,
  kinds: readonly number[],
): Promise<SessionMessage> {
  const message = await connection.receive();
  if (message !== undefined && kinds.includes(message.kind)) return message;
  const found = message === undefined ? 'the end' : `a message of kind ${message.kind}`;
  throw new FormatError('session', 'ORDER', 0, `${found} must not come now`);
}
