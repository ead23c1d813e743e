/**
 * The command line of the helpers, by which a casync of the original reaches URLs: the same program
 * under another name (spec/remote.md, "Helper for the original").
 */
import { basename } from 'node:path';
import { CasError } from '../formats/errors.ts';
import { type Environment, type Request, readArguments } from './arguments.ts';
import { OPTION_TABLE } from './option-table.ts';
import type { Options } from './options.ts';

/** What can be fetched by the helper of that name. */
const SCHEMES: Readonly<Record<string, readonly string[]>> = {
  'casync-http': ['http', 'https'],
  'casync-https': ['http', 'https'],
  'casync-ftp': ['ftp'],
  'casync-sftp': ['sftp'],
};
const OPTIONS: ReadonlySet<string> = new Set(['help', 'verbose', 'log-level', 'rate-limit-bps']);

/** Whether the program was called by the name of a helper. */
export function isHelper(program: string): boolean {
  return Object.hasOwn(SCHEMES, basename(program));
}

/** @throws CasError `USAGE` */
export function parseHelperLine(
  program: string,
  argv: readonly string[],
  options: Options,
  environment: Environment,
): Request {
  const table = OPTION_TABLE.filter(({ long }) => OPTIONS.has(long));
  const words = readArguments(argv, options, { program, table, environment });
  const name = basename(program);
  if (typeof words === 'string') {
    return { kind: 'answer', text: () => `${name} -- casync helper. Do not execute manually.\n` };
  }
  const [verb, ...rest] = words;
  if (verb === undefined) throw new CasError('USAGE', { reason: 'Verb expected.' });
  if (verb !== 'pull') throw new CasError('USAGE', { reason: `Unknown verb: ${verb}` });
  const schemes = SCHEMES[name];
  return {
    kind: 'run',
    words: rest,
    verb: async (places, context) =>
      (await import('./commands/fetch.ts')).fetch(places, context, schemes),
  };
}
