/** The numbers of the NBD protocol that we use (spec/nbd.md, "Protocol"). */

export const NBD_MAGIC = {
  /** Eight characters each. */
  init: 'NBDMAGIC',
  option: 'IHAVEOPT',
  /** Of an answer to an option: 64 bits, in two halves. */
  optionReplyHigh: 0x0003_e889,
  optionReplyLow: 0x0455_65a9,
  request: 0x2560_9513,
  simpleReply: 0x6744_6698,
  structuredReply: 0x668e_33ef,
} as const;

/** What a server can, and what a client wants of it: the same bits for both. */
export const NBD_HANDSHAKE_FLAG = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const NBD_OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const NBD_OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  unknownExport: 0x8000_0006,
  shutdown: 0x8000_0007,
  tooBig: 0x8000_0009,
} as const;

export const NBD_INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** What an export can, as told to clients. */
export const NBD_EXPORT_FLAG = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

export const NBD_COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const NBD_COMMAND_FLAG = {
  fua: 1 << 0,
  noHole: 1 << 1,
  /** Do not fragment the answer. */
  df: 1 << 2,
  reqOne: 1 << 3,
  fastZero: 1 << 4,
} as const;

export const NBD_CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** Of a chunk of an answer: none follows. */
export const NBD_CHUNK_DONE = 1;

/** Of a stretch in the context `base:allocation`: not allocated, and reads as zeros. */
export const NBD_STATE = { hole: 1, zero: 2 } as const;

export const NBD_ERROR = {
  EPERM: 1,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

export type NbdError = (typeof NBD_ERROR)[keyof typeof NBD_ERROR];

export const NBD_LIMIT = {
  /** Of all strings: names, descriptions, queries, messages. */
  stringBytes: 4096,
  /** Data of an option; longer data is not kept. */
  optionBytes: 65_536,
  /** Options of one negotiation. */
  options: 128,
  /** Data of one read or write; what is told to clients as the largest block. */
  payloadBytes: 32 * 1024 * 1024,
} as const;
