/**
 * What images and trees see of a session with another machine (spec/formats/session.md).
 */

/** What one side tells the other. */
export interface SessionMessage {
  /** 16 to 255: what the content is, by the rules of what is being done. */
  readonly kind: number;
  /** Belongs to the receiver. */
  readonly content: Uint8Array;
}

/** What images and trees see of a session. */
export interface SessionConnection {
  /** The other side, for messages. */
  readonly label: string;
  /** Bytes on the wire so far. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /**
   * Sends in the order of the calls; resolves when more may be sent. Any number of callers.
   * @param content must not change any more
   * @throws the failure that the session has ended with
   */
  send(kind: number, content: Uint8Array): Promise<void>;
  /**
   * The next message; undefined once the other side has said that all is done. One caller at a time.
   * @throws CasError what the other side has failed with; StorageError `UNAVAILABLE` if it is gone;
   * FormatError for what the rules do not allow
   */
  receive(): Promise<SessionMessage | undefined>;
  /** Memory for a content that is to be sent with {@link sendLent}. */
  lend(length: number): Uint8Array;
  /** As {@link send}, for a content in memory that was lent, which the connection takes back. */
  sendLent(kind: number, content: Uint8Array): Promise<void>;
  /** Gives back a content that was received and that nobody looks at any more. */
  giveBack(content: Uint8Array): void;
  /** A line for the user of the other side; the work goes on. */
  warn(text: string): Promise<void>;
}
