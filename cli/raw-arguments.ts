/**
 * Arguments that are not UTF-8: Node has replaced what it could not decode, so that they would name
 * other files than the user meant.
 */
import { readFileSync } from 'node:fs';
import { CasError } from '../formats/errors.ts';
import { escapeBytes } from '../formats/escape.ts';

const REPLACEMENT = '\ufffd';

/** The last `count` arguments of this process as the kernel has them; undefined without /proc. */
function rawArguments(count: number): readonly Buffer[] | undefined {
  try {
    const all = readFileSync('/proc/self/cmdline', 'latin1').split('\0').slice(0, -1);
    return all.slice(all.length - count).map((argument) => Buffer.from(argument, 'latin1'));
  } catch {
    return undefined;
  }
}

/**
 * Checks that the arguments are what the user wrote.
 * @throws CasError `USAGE` that names the first one that is not UTF-8
 */
export function checkArgumentsAreUtf8(argv: readonly string[]): void {
  if (!argv.some((argument) => argument.includes(REPLACEMENT))) return;
  const wrong = rawArguments(argv.length)?.find((bytes, i) => !bytes.equals(Buffer.from(argv[i])));
  if (wrong === undefined) return;
  throw new CasError('USAGE', {
    subject: escapeBytes(wrong),
    reason:
      'words of the command line must be UTF-8; a link or a redirection can stand for the file',
  });
}
