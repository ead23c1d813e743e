/**
 * From arguments to a verb with its words and options. getopt reads the options with the C library's
 * rules; commander knows the verbs, their words and the help.
 */
import { basename } from 'node:path';
import { CasError } from '../formats/errors.ts';
import { FEATURE_NAMES } from '../formats/feature-flags.ts';
import { type Environment, type Request, readArguments } from './arguments.ts';
import { isHelper, parseHelperLine } from './helper-program.ts';
import { BLAKE2B } from './image-options.ts';
import type { Answer } from './option-row.ts';
import { OPTION_TABLE } from './option-table.ts';
import { KINDS, type Options } from './options.ts';
import { DIGEST_NAMES } from './values.ts';
import { findVerb } from './verbs.ts';
import { VERSION } from './version.ts';

/**
 * Reads the arguments from left to right into `options`; stops at the first error or answer.
 * @throws CasError `USAGE`
 */
export function parseCommandLine(
  program: string,
  argv: readonly string[],
  options: Options,
  environment: Environment,
): Request {
  if (isHelper(program)) return parseHelperLine(program, argv, options, environment);
  const words = readArguments(argv, options, { program, table: OPTION_TABLE, environment });
  if (typeof words === 'string') {
    return { kind: 'answer', text: () => answerText(words, basename(program)) };
  }
  const [name, ...rest] = words;
  if (name === 'help') return { kind: 'answer', text: () => answerText('help', basename(program)) };
  const hint = `(Invoke '${basename(program)} --help' for a list of available verbs.)`;
  if (name === undefined) throw new CasError('USAGE', { reason: `Missing verb. ${hint}` });
  const verb = findVerb(name);
  if (!verb) throw new CasError('USAGE', { reason: `Unknown verb '${name}'. ${hint}` });
  checkDigestVariable(environment);
  if (options.mapDigest === BLAKE2B && verb.makesMaps !== true) {
    throw new CasError('USAGE', {
      reason: `Failed to parse --digest= parameter: ${BLAKE2B} (only maps know it)`,
    });
  }
  if (rest.length > verb.maxWords) throw new CasError('USAGE', { reason: verb.tooManyWords });
  return { kind: 'run', verb: verb.run, words: rest };
}

/** A default that cannot be read must not silently be another one. @throws CasError `USAGE` */
function checkDigestVariable(environment: Environment): void {
  const value = environment.CASYNC_DIGEST;
  if (!value || DIGEST_NAMES.some((name) => name === value)) return;
  throw new CasError('USAGE', { reason: `Failed to parse CASYNC_DIGEST variable: ${value}` });
}

async function answerText(answer: Answer, program: string): Promise<string> {
  switch (answer) {
    case 'version':
      return `${program} 2 (casync for Node ${VERSION})\n`;
    case 'what':
      return `Allowed --what= selectors:\n${KINDS.map((kind) => `${kind}\n`).join('')}`;
    case 'features': {
      const names = FEATURE_NAMES.map(([name]) => `${name}\n`).join('');
      return `Supported --with= and --without= flags:\n${names}`;
    }
    case 'help': {
      const { helpText } = await import('./help.ts');
      return helpText(program);
    }
  }
}
