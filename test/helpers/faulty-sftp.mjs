/**
 * In the place of ssh for tests: an SFTP server whose connection has the fault that the first argument
 * names. Argument 2 is the fault's number, if it has one; those of ssh follow and do not count.
 */
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';

const SERVER = '/usr/lib/openssh/sftp-server';
const [, , fault, numberWord] = process.argv;
const number = Number(numberWord);
const [VERSION, READ, DATA] = [2, 5, 103];

function end(text, status) {
  writeSync(2, text);
  process.exit(status);
}

/** Calls back for each packet, without its length. */
function cutPackets(stream, onPacket) {
  let rest = Buffer.alloc(0);
  stream.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const length = rest.readUInt32BE(0);
      onPacket(Buffer.from(rest.subarray(4, 4 + length)));
      rest = rest.subarray(4 + length);
    }
  });
}

function send(stream, packet) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(packet.length);
  stream.write(Buffer.concat([length, packet]));
}

/** A real server, with the packets of both directions in our hands. */
function serve({ onRequest = (packet) => packet, onAnswer = (packet) => packet }) {
  const server = spawn(SERVER, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  server.stdin.on('error', () => {});
  cutPackets(process.stdin, (packet) => send(server.stdin, onRequest(packet)));
  cutPackets(server.stdout, (packet) => {
    const answer = onAnswer(packet);
    if (answer !== undefined) send(process.stdout, answer);
  });
  process.stdin.on('end', () => server.stdin.end());
  server.on('exit', (status) => process.exit(status ?? 1));
}

/** Does `act` with the DATA packet of this number, from 1. */
function atData(act) {
  let count = 0;
  return (packet) => {
    if (packet[0] === DATA) count++;
    return packet[0] === DATA && count === number ? act(packet) : packet;
  };
}

const FAULTS = {
  greeting: () => process.stdout.write('Welcome to this host, dear user.\n'),
  silent: () => process.stdin.resume(),
  deaf: () => {
    process.on('SIGTERM', () => {});
    setInterval(() => {}, 1000);
    serve({});
  },
  refused: () =>
    end('Warning: something\r\nssh: connect to host h port 22: Connection refused\r\n', 255),
  denied: () => end('\u001b[31muser@h: Permission denied (publickey).\r\n', 255),
  'no-subsystem': () => end('subsystem request failed on channel 0\r\n', 255),
  // READ gives no more than some bytes; a request's length is its last field.
  short: () =>
    serve({
      onRequest: (packet) => {
        if (packet[0] !== READ) return packet;
        const asked = packet.readUInt32BE(packet.length - 4);
        packet.writeUInt32BE(Math.min(asked, number), packet.length - 4);
        return packet;
      },
    }),
  // Version 3 as it was written, without any extension.
  plain: () =>
    serve({ onAnswer: (packet) => (packet[0] === VERSION ? packet.subarray(0, 5) : packet) }),
  cut: () =>
    serve({
      onAnswer: atData((packet) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(packet.length);
        writeSync(1, Buffer.concat([length, packet.subarray(0, packet.length >> 1)]));
        end('Connection to h closed by remote host.\r\n', 255);
      }),
    }),
  unanswered: () => serve({ onAnswer: atData(() => undefined) }),
  longer: () =>
    serve({
      onAnswer: atData((packet) => {
        const longer = Buffer.concat([packet, Buffer.alloc(400_000)]);
        longer.writeUInt32BE(longer.length - 9, 5);
        return longer;
      }),
    }),
  lying: () =>
    serve({
      onAnswer: atData((packet) => {
        packet.writeUInt32BE(packet.length, 5);
        return packet;
      }),
    }),
  'other-id': () =>
    serve({
      onAnswer: atData((packet) => {
        packet.writeUInt32BE(0xfffffff0, 1);
        return packet;
      }),
    }),
  huge: () =>
    serve({
      onAnswer: atData((packet) => {
        process.stdout.write(Buffer.from([0x7f, 0xff, 0xff, 0xff]));
        return packet;
      }),
    }),
  'other-type': () =>
    serve({
      onAnswer: atData((packet) => {
        packet[0] = 222;
        return packet;
      }),
    }),
  empty: () =>
    serve({
      onAnswer: atData((packet) => {
        const empty = Buffer.from(packet.subarray(0, 9));
        empty.writeUInt32BE(0, 5);
        return empty;
      }),
    }),
};

FAULTS[fault]();
