/** Options about places elsewhere, `copy` and `serve` (spec/remote.md): a part of the table of options. */
import { flagRow, type OptionRow, textRow } from './option-row.ts';

export const REMOTE_OPTIONS: readonly OptionRow[] = [
  textRow('config', '=FILE', 'config', 'Read settings of places from FILE', 'file'),
  textRow('cache-store', '=DIR', 'cacheStore', 'Local store filled on the way', 'folder'),
  textRow('to', '=STORE', 'to', 'copy: the store to copy to', 'folder'),
  textRow('listen', '=ADDR:PORT', 'listen', 'serve, serve-nbd: where to listen'),
  flagRow('writable', 'serve: accept uploads', (o) => {
    o.writable = true;
  }),
  textRow('token-file', '=FILE', 'tokenFile', 'serve: tokens that clients must show', 'file'),
  textRow('tls-certificate', '=FILE', 'tlsCertificate', 'serve: certificate, as PEM', 'file'),
  textRow('tls-key', '=FILE', 'tlsKey', 'serve: its key, as PEM', 'file'),
  textRow('client-ca', '=FILE', 'clientCa', 'serve: who signs certificates of clients', 'file'),
  textRow('access-log', '=FILE', 'accessLog', 'serve: one line for each request', 'file'),
];
