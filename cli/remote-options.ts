/** Options about places elsewhere, `copy` and `serve` (spec/remote.md): a part of the table of options. */
import { flagRow, type OptionRow, valueRow } from './option-row.ts';
import type { Options } from './options.ts';

/** The fields that hold any text. */
type TextField = {
  [K in keyof Options]: string | undefined extends Options[K] ? K : never;
}[keyof Options];

/** An option whose value is taken as it is. */
function textRow(
  long: string,
  metavar: string,
  field: TextField,
  help: string,
  values?: OptionRow['values'],
): OptionRow {
  const set = (options: Options, value: string): void => {
    options[field] = value;
  };
  return valueRow(long, metavar, help, set, values === undefined ? {} : { values });
}

export const REMOTE_OPTIONS: readonly OptionRow[] = [
  textRow('config', '=FILE', 'config', 'Read settings of places from FILE', 'file'),
  textRow('cache-store', '=DIR', 'cacheStore', 'Local store filled on the way', 'folder'),
  textRow('to', '=STORE', 'to', 'copy: the store to copy to', 'folder'),
  textRow('listen', '=ADDR:PORT', 'listen', 'serve: where to listen (127.0.0.1:8080)'),
  flagRow('writable', 'serve: accept uploads', (o) => {
    o.writable = true;
  }),
  textRow('token-file', '=FILE', 'tokenFile', 'serve: tokens that clients must show', 'file'),
  textRow('tls-certificate', '=FILE', 'tlsCertificate', 'serve: certificate, as PEM', 'file'),
  textRow('tls-key', '=FILE', 'tlsKey', 'serve: its key, as PEM', 'file'),
  textRow('client-ca', '=FILE', 'clientCa', 'serve: who signs certificates of clients', 'file'),
  textRow('access-log', '=FILE', 'accessLog', 'serve: one line for each request', 'file'),
];
