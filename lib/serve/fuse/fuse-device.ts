/** The device between a kernel and a server of mounted file systems: requests come, answers go. */

/** Why no more requests come. */
export type FuseEnd =
  /** Unmounted, also by force. */
  | 'unmounted'
  /** The connection was given up in /sys/fs/fuse/connections. */
  | 'aborted'
  /** Closed by ourselves. */
  | 'closed'
  /** The device cannot be read any more. */
  | 'failed';

export type AnswerOutcome =
  | 'sent'
  /** Nobody waits for it any more. */
  | 'unwanted'
  /** The kernel does not take it for an answer. */
  | 'refused';

export interface FuseReceiver {
  /** @param bytes valid during the call, the first `length` of them */
  request(bytes: Uint8Array, length: number): void;
  /** Called once, after the last request. @param failure the error behind `failed` */
  ended(end: FuseEnd, failure?: unknown): void;
}

export interface FuseDevice {
  /** Called once. */
  start(receiver: FuseReceiver): void;
  /** @param answer the first `length` bytes are the answer; they may be reused afterwards */
  send(answer: Uint8Array, length: number): AnswerOutcome;
  /** Sends an answer of several pieces, without copying them. */
  sendPieces(header: Uint8Array, pieces: readonly Uint8Array[]): AnswerOutcome;
  /** Gives up the connection: whoever still uses the file system gets errors from now on. */
  close(): void;
}
