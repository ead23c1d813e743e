/** How the functions of lib/os name a file: by open descriptor, or by path without following a link. */

/**
 * An open descriptor, or a path (bytes without NUL) whose last component is not followed if it is a
 * symbolic link.
 */
export type Target = number | Uint8Array;

/** The path under which the kernel shows an open descriptor. Following it leads to the file itself. */
export function descriptorPath(fd: number): Buffer {
  return Buffer.from(`/proc/self/fd/${fd}`);
}

/** Path of the entry `name` of an open directory; cannot be led elsewhere by renames above it. */
export function entryPath(directory: number, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
}
