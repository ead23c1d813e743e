/** SftpSession: requests to one SFTP server, any number of them under way. Used by sftp-calls.ts. */
import type { Field, PacketFields } from './sftp-packets.ts';
import type { Destination } from './sftp-reader.ts';

export interface SftpLimits {
  /** Bytes in one READ and one WRITE. */
  readonly readLength: number;
  readonly writeLength: number;
  readonly openHandles: number;
}

export interface SftpReply {
  readonly type: number;
  readonly fields: PacketFields;
}

export interface SftpSession {
  readonly limits: SftpLimits;
  /** Names of the extensions that the server offers. */
  readonly extensions: ReadonlySet<string>;
  /** Whether requests can be sent. Never again after it was not. */
  readonly isOpen: boolean;
  /**
   * @param data the request's last field, which must not change before the answer is there
   * @throws StorageError `UNAVAILABLE` if the connection is lost
   */
  request(type: number, fields: readonly Field[], data?: Uint8Array): Promise<SftpReply>;
  /** The bytes go to the destination. @returns how many; the reply if it was not bytes */
  read(handle: string, offset: number, destination: Destination): Promise<number | SftpReply>;
  /** Ends the process and waits for it. */
  close(): Promise<void>;
}
