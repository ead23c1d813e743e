/**
 * Options of mount, mkdev, serve-nbd and cat (spec/mount.md, spec/nbd.md): a part of the table of options.
 */
import { type OptionRow, sizeRow, textRow } from './option-row.ts';

export const DEVICE_OPTIONS: readonly OptionRow[] = [
  sizeRow('read-cache', 'readCache', 'Memory for what mount, mkdev and serve-nbd have read'),
  sizeRow('offset', 'offset', 'cat: begin at this byte'),
  sizeRow('length', 'length', 'cat: end after as many bytes'),
  textRow('socket', '=PATH', 'socket', 'serve-nbd: listen on a unix socket', 'file'),
  textRow('export-name', '=NAME', 'exportName', 'serve-nbd: what clients call the export'),
  textRow('cow', '=FILE', 'cow', 'serve-nbd, mkdev: keep changes in FILE', 'file'),
];
