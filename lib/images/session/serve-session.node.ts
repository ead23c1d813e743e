/**
 * The far end of a session: does what the near end asks for, one thing after another, until it says that
 * all is done (spec/formats/session.md, "Session").
 */
import { FormatError } from '../../../formats/errors.ts';
import type { SessionConnection, SessionMessage } from './connection.ts';

/** Serves one thing: the message that opened it has been received. Returns when it is done. */
export type SessionService = (
  connection: SessionConnection,
  opening: SessionMessage,
) => Promise<void>;

/**
 * @param services what can be asked for, by the kind of the message that opens it
 * @throws what a service throws, and what the connection fails with
 */
export async function serveSession(
  connection: SessionConnection,
  services: ReadonlyMap<number, SessionService>,
): Promise<void> {
  for (;;) {
    const opening = await connection.receive();
    if (opening === undefined) return;
    const service = services.get(opening.kind);
    if (service === undefined) {
      const expectation = `nothing begins with a message of kind ${opening.kind}`;
      throw new FormatError('session', 'OPEN', 0, expectation);
    }
    await service(connection, opening);
  }
}
