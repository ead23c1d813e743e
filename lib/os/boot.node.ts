/** The number of the machine's run: another one after each start. Used where mounts are told apart. */
import { readFileSync } from 'node:fs';

const ID_FILE = '/proc/sys/kernel/random/boot_id';
const HEX = /^[0-9a-f]{16}/;

let known: { readonly id: bigint | undefined } | undefined;

/** 64 random bits that stay the same until the machine stops; undefined where they are not told. */
export function bootId(): bigint | undefined {
  known ??= { id: readBootId() };
  return known.id;
}

function readBootId(): bigint | undefined {
  try {
    const digits = HEX.exec(readFileSync(ID_FILE, 'latin1').replaceAll('-', ''));
    return digits === null ? undefined : BigInt(`0x${digits[0]}`);
  } catch {
    return undefined;
  }
}
