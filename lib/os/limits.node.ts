/** What the system allows this process. Read once; Node has raised the limits as far as it may. */
import { readFileSync } from 'node:fs';

/** Where the system does not say. */
const USUAL_DESCRIPTORS = 1024;
const DESCRIPTORS_LINE = /^Max open files\s+(\d+)/m;

let descriptors: number | undefined;

/** How many descriptors may be open at once. */
export function descriptorLimit(): number {
  descriptors ??= readDescriptorLimit();
  return descriptors;
}

function readDescriptorLimit(): number {
  try {
    const found = DESCRIPTORS_LINE.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return found === undefined ? USUAL_DESCRIPTORS : Number(found);
  } catch {
    return USUAL_DESCRIPTORS;
  }
}
