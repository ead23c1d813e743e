/**
 * The part of a netrc file that concerns one machine. Logins for any machine (`default`) do not count:
 * who follows a link must not hand out a password.
 */
import type { HttpLogin } from './http-address.ts';

/** A word, or a text in quotes with escapes; comments go from `#` to the end of the line. */
const TOKEN = /#[^\n]*|"((?:[^"\\\n]|\\.)*)"|[^\s"]\S*/g;
/** Definitions of macros end at an empty line. */
const MACRO = /^[ \t]*macdef[ \t].*\n(?:[ \t]*\S.*\n)*/gm;

/** The login for `machine`, undefined if the file has none. */
export function loginFromNetrc(text: string, machine: string): HttpLogin | undefined {
  const tokens = tokensOf(`${text.replaceAll('\r\n', '\n')}\n`.replace(MACRO, ''));
  const wanted = machine.toLowerCase();
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] !== 'machine' || tokens[i + 1]?.toLowerCase() !== wanted) continue;
    const login = loginAfter(tokens, i + 2);
    if (login !== undefined) return login;
  }
  return undefined;
}

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = [];
  for (const [word, quoted] of text.matchAll(TOKEN)) {
    if (word.startsWith('#')) continue;
    tokens.push(quoted === undefined ? word : quoted.replace(/\\(.)/g, '$1'));
  }
  return tokens;
}

function loginAfter(tokens: readonly string[], start: number): HttpLogin | undefined {
  let [user, password] = ['', ''];
  for (let i = start; i + 1 < tokens.length; i += 2) {
    const [name, value] = [tokens[i], tokens[i + 1]];
    if (name === 'login') user = value;
    else if (name === 'password') password = value;
    else if (name !== 'account') break;
  }
  return user === '' && password === '' ? undefined : { user, password };
}
