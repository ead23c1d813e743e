/**
 * What mkdev.sh needs of the kernel and busybox lacks: `listen SOCKET FILE` writes datagrams into a file,
 * `disconnect DEVICE` takes a network block device away from outside.
 */
'use strict';

const { appendFileSync, openSync } = require('node:fs');
const koffi = require('/opt/casync/node_modules/koffi');

const library = koffi.load(null);
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const NBD_DISCONNECT = 0xab08;

function listen(path, file) {
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  const socket = library.func('int socket(int, int, int)')(AF_UNIX, SOCK_DGRAM, 0);
  library.func('int bind(int, const void *, uint32_t)')(socket, address, address.length);
  const receive = library.func('long recv(int, void *, size_t, int)');
  const text = Buffer.alloc(4096);
  for (;;) {
    const length = receive(socket, text, text.length, 0);
    if (length < 0) return;
    appendFileSync(file, `${text.subarray(0, length)}\n`);
  }
}

const [, , call, ...words] = process.argv;
if (call === 'listen') listen(...words);
else library.func('int ioctl(int, ulong, ...)')(openSync(words[0], 'r'), NBD_DISCONNECT);
