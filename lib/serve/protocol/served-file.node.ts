/** An index or archive that is served over the casync protocol: read when a client wants it. */
import type { SignalOption } from '../../../store/backend.ts';
import { openInput, piecesOf } from '../../api/input.node.ts';
import type { PlaceOptions } from '../../api/options.ts';
import { PipelineError } from '../../errors.ts';

export interface ServedFile {
  /** All bytes, in pieces that are valid until the next is taken. */
  read(options: SignalOption): AsyncIterable<Uint8Array>;
}

/** Whoever gets a part of the older and a part of the newer content gets neither. */
function refuseChange(subject: string, reason: string): never {
  throw new PipelineError('SOURCE_CHANGED', { subject, reason });
}

/** @param locator path, URL or ssh locator; opened at each read */
export function servedFile(locator: string, options: PlaceOptions): ServedFile {
  return {
    async *read(signalOption) {
      const input = await openInput({ ...options, ...signalOption, input: locator });
      try {
        yield* piecesOf(input, { ...signalOption, onIncomplete: refuseChange });
      } finally {
        input.close();
      }
    },
  };
}
