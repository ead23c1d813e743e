/**
 * The mounts of this machine as the kernel lists them (proc(5), mountinfo). Used by who mounts: a mount
 * is known by its number and device, never by its path alone, which others may mount over.
 */
import { readFileSync } from 'node:fs';

/** What names one mount among all. */
export interface MountIdentity {
  readonly id: number;
  /** `MAJOR:MINOR` */
  readonly device: string;
}

export interface MountEntry extends MountIdentity {
  /** Where it is now, from the root of this process: one character for each byte. */
  readonly point: string;
  readonly type: string;
}

const LINE = /^(?<id>\d+) \d+ (?<device>\d+:\d+) \S+ (?<point>\S+) \S+ (?:\S+ )*?- (?<type>\S+) /;

/** All mounts that this process can see, younger ones behind older ones; none where they are not shown. */
function readMountTable(): readonly MountEntry[] {
  let text: string;
  try {
    text = readFileSync('/proc/self/mountinfo', 'latin1');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const { id, device, point, type } = LINE.exec(line)?.groups ?? {};
    if (id === undefined || device === undefined || !point || !type) return [];
    return [{ id: Number(id), device, point: unescapeOctal(point), type }];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The mount that is on top of all others at a path. @param point one character for each byte */
export function mountAt(point: string): MountEntry | undefined {
  return readMountTable().findLast((entry) => entry.point === point);
}

/** A mount, if it is still there. `isCovered` tells whether its path leads to another mount. */
export function findMount({
  id,
  device,
}: MountIdentity): (MountEntry & { readonly isCovered: boolean }) | undefined {
  const table = readMountTable();
  const found = table.find((entry) => entry.id === id && entry.device === device);
  if (found === undefined) return undefined;
  const top = table.findLast((entry) => entry.point === found.point);
  return { ...found, isCovered: top !== found };
}
