/** Both ends of a session in one process. */
import { PassThrough } from 'node:stream';
import { createCodecs } from '../../lib/compress/codecs.node.ts';
import { SessionStream } from '../../lib/images/session/session-stream.node.ts';

export interface SessionPair {
  readonly near: SessionStream;
  readonly far: SessionStream;
  /** What each has been warned of. */
  readonly warnings: string[];
  /** What goes from the near end to the far one, and back: to be cut or harmed. */
  readonly there: PassThrough;
  readonly back: PassThrough;
}

export interface SessionPairOptions {
  readonly compresses?: boolean;
  readonly timeoutMs?: number;
}

export function sessionPair(options: SessionPairOptions = {}): SessionPair {
  const { compresses = true, timeoutMs = 60_000 } = options;
  const [there, back] = [new Pipe(), new Pipe()];
  const warnings: string[] = [];
  const end = (label: string) => ({
    label,
    codec: createCodecs().zstd,
    compresses,
    timeoutMs,
    onWarning: (text: string) => warnings.push(text),
  });
  return {
    near: new SessionStream(back, there, end('far')),
    far: new SessionStream(there, back, end('near')),
    warnings,
    there,
    back,
  };
}

/** Copies, as a pipe does: what was written may be used again. */
class Pipe extends PassThrough {
  override _transform(
    bytes: Uint8Array,
    _encoding: BufferEncoding,
    done: (error: null, bytes: Uint8Array) => void,
  ): void {
    done(null, Uint8Array.from(bytes));
  }
}
