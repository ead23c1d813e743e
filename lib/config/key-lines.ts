/** In which line of a configuration file a key stands, for messages: parsers do not tell. */

/** Where something stands: keys, and the numbers of elements of arrays. */
export type KeyPath = readonly (string | number)[];

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** @returns lines from 1 on; undefined if the key cannot be found */
export function lineOfKey(source: string, path: KeyPath, isJson: boolean): number | undefined {
  return isJson ? lineInJson(source, path.join('/')) : lineInToml(source, path);
}

function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}

/** Follows the tokens of a text that is JSON. */
function lineInJson(source: string, wanted: string): number | undefined {
  const path: (string | number)[] = [];
  let word: { readonly text: string; readonly offset: number } | undefined;
  for (const { 0: token, index } of source.matchAll(TOKEN)) {
    if (token === '{') path.push('');
    else if (token === '[') path.push(0);
    else if (token === '}' || token === ']') path.pop();
    else if (token === ',') {
      const last = path.at(-1);
      if (typeof last === 'number') path[path.length - 1] = last + 1;
    } else if (token === ':' && word !== undefined) {
      path[path.length - 1] = String(JSON.parse(word.text));
      if (path.join('/') === wanted) return lineAt(source, word.offset);
    } else word = { text: token, offset: index };
  }
  return undefined;
}

/** Looks for the key behind the head of its table. Tables in one line are found as a whole. */
function lineInToml(source: string, path: KeyPath): number | undefined {
  const lines = source.split('\n');
  const [first, number] = path;
  const isInTable = typeof number === 'number';
  let table = -1;
  for (const [i, line] of lines.entries()) {
    if (/^\s*\[\[\s*"?location"?\s*\]\]/.test(line)) table += 1;
    const isHere = isInTable ? table === number : table < 0;
    if (isHere && startsWithKey(line, String(path[isInTable ? 2 : 0]))) return i + 1;
  }
  const whole = lines.findIndex((line) => startsWithKey(line, String(first)));
  return whole < 0 ? undefined : whole + 1;
}

/** Also heads of tables, such as `[location.headers]`. */
function startsWithKey(line: string, key: string): boolean {
  const begin = /^\s*(?:\[\[?\s*(?:location\s*\.\s*)?)?["']?([^\s"'=.\]]+)/.exec(line);
  return begin?.[1] === key;
}
