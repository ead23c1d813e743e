/** What clients call a server: `nbd://HOST:PORT/NAME` and `nbd+unix:///NAME?socket=PATH`. */

/** Where a server listens, as the system says it. */
export type NbdAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  /** Of a socket that somebody else has opened. */
  | { readonly descriptor: number };

/** @param exportName empty for the one that needs no name */
export function nbdUri(address: NbdAddress, exportName: string): string {
  if ('descriptor' in address) return `descriptor ${address.descriptor}`;
  const name = encodeURIComponent(exportName);
  if ('path' in address) {
    const path = encodeURIComponent(address.path).replaceAll('%2F', '/');
    return `nbd+unix:///${name}?socket=${path}`;
  }
  const { host, port } = address;
  const authority = `nbd://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return name === '' ? authority : `${authority}/${name}`;
}
