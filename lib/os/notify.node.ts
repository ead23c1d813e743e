/** Tells a service manager that we are ready (spec/promises.md); used by the command line. */
import { libc } from './libc.node.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0x80002;
const MSG_NOSIGNAL = 0x4000;
const LONGEST_ADDRESS = 108;

/**
 * Sends `text` as one datagram to the socket named by the environment variable NOTIFY_SOCKET, a path
 * or `@` and an abstract name. Nothing happens without the variable; failures are ignored, because
 * nobody may depend on being heard.
 */
export function notify(text: string): void {
  const name = process.env.NOTIFY_SOCKET;
  const c = libc();
  if (c === undefined || name === undefined || !/^[/@]./.test(name)) return;
  const path = Buffer.from(name);
  if (path.length >= LONGEST_ADDRESS) return;
  if (name.startsWith('@')) path[0] = 0;
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer);
  const end = name.startsWith('@') ? Buffer.alloc(0) : Buffer.alloc(1);
  const address = Buffer.concat([family, path, end]);
  const data = Buffer.from(text);
  const fd = c.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return;
  c.sendto(fd, data, data.length, MSG_NOSIGNAL, address, address.length);
  c.close(fd);
}
