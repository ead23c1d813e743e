/**
 * Sizes as the user writes them: `64K`, `1.5M`, `1M 512K`. Used by the options of several commands.
 * Implements spec/formats/text.md, "Sizes".
 */
import { CasError } from './errors.ts';

/** Units in the order in which the parts of a size must come; the last one is "no unit". */
const UNITS = ['E', 'P', 'T', 'G', 'M', 'K', 'B', ''];
const FACTORS = [60n, 50n, 40n, 30n, 20n, 10n, 0n, 0n].map((exponent) => 1n << exponent);
const U64_LIMIT = 1n << 64n;

/**
 * The bytes that a size text says; from 2^53 on rounded to a number.
 * @throws CasError `USAGE` whose reason says whether the text is no size or the size too large
 */
export function parseSize(text: string): number {
  const part = /[ \t]*(\d+)(?:\.(\d*))?[ \t]*([EPTGMKB]?)/y;
  let total = 0n;
  let previousUnit = -1;
  do {
    const match = part.exec(text);
    if (match === null) throw refusal('Invalid argument');
    const [, whole, fraction = '', letter] = match;
    const unit = UNITS.indexOf(letter);
    if (unit <= previousUnit) throw refusal('Invalid argument');
    previousUnit = unit;
    const factor = FACTORS[unit];
    total += BigInt(whole) * factor;
    total += BigInt(Math.floor(Number(`0.${fraction}`) * Number(factor)));
    if (total >= U64_LIMIT) throw refusal('Numerical result out of range');
  } while (part.lastIndex < text.length);
  return Number(total);
}

function refusal(reason: string): CasError {
  return new CasError('USAGE', { reason });
}
