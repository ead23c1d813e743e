/** Random `.caexclude` files whose rules have a good chance to match something. */
import type { Random } from './random.ts';

/** Text of a rule file. @param names bytes of names in the tree, which rules refer to */
export function randomExcludes(random: Random, names: readonly Uint8Array[]): Buffer {
  const lines = Array.from({ length: random.integer(0, 5) }, () => randomRule(random, names));
  const end = random.pick(['\n', '\n', '\0', '\r\n']);
  return Buffer.from(lines.map((line) => line + end).join(''), 'latin1');
}

function randomRule(random: Random, names: readonly Uint8Array[]): string {
  const component = (): string =>
    random.pick([
      () => escapePattern(Buffer.from(random.pick(names)).toString('latin1')),
      () => random.pick(['*', 'file*', '?', '*.txt', '[a-f]*', '[!a]*', 'dir*', '.*', 'x\\ y*']),
    ])();
  const pattern = random.pick([
    () => component(),
    () => component(),
    () => `/${component()}`,
    () => `${component()}/`,
    () => `${component()}/${component()}`,
    () => `${component()}//${component()}/`,
    () => '# comment',
    () => '',
    () => `  ${component()}\t`,
  ])();
  // A rule that makes the whole run fail, now and then.
  if (random.chance(0.001)) return '..';
  return random.chance(0.3) && !pattern.startsWith('#') ? `!${pattern}` : pattern;
}

function escapePattern(name: string): string {
  return name.replace(/[*?[\]\\!#]/g, '\\$&').replace(/[\n\0]/g, '?');
}
