/**
 * In the place of ssh: runs the words for the other machine here, and delays, counts or cuts what is
 * said. RELAY is JSON: {folder, report, delayMs?, cutAfter?}; cutAfter counts bytes to the far side.
 * Round trips that depend on each other are told in the report: words may be answers only to what had come
 * before them.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const { folder, report, delayMs = 0, cutAfter = Infinity } = JSON.parse(process.env.RELAY);
const words = process.argv.slice(3);
const far = spawn('sh', ['-c', words.join(' ')], {
  cwd: folder,
  stdio: ['pipe', 'pipe', 'inherit'],
});
const counts = { there: 0, back: 0, roundTrips: 0 };
/** Round trips before the last words that have come to each side. */
const heard = { far: 0, near: 0 };
let isCut = false;

function cut() {
  isCut = true;
  far.stdin.end();
  process.stdout.end();
  process.stdin.destroy();
}

function later(action) {
  if (delayMs === 0) action();
  else setTimeout(action, delayMs);
}

function give(stream, bytes) {
  if (!stream.destroyed && !stream.writableEnded) stream.write(bytes);
}

process.stdin.on('data', (bytes) => {
  if (isCut) return;
  const part = bytes.subarray(0, cutAfter - counts.there);
  counts.there += part.length;
  const before = heard.near;
  later(() => {
    heard.far = before;
    give(far.stdin, part);
  });
  if (counts.there >= cutAfter) later(cut);
});
process.stdin.on('end', () => later(() => far.stdin.end()));
far.stdout.on('data', (bytes) => {
  counts.back += bytes.length;
  counts.roundTrips = heard.far + 1;
  const before = counts.roundTrips;
  later(() => {
    heard.near = before;
    if (!isCut) give(process.stdout, bytes);
  });
});
for (const stream of [far.stdin, process.stdout, process.stdin]) stream.on('error', () => {});
far.on('close', (status) => {
  writeFileSync(report, JSON.stringify({ ...counts, farStatus: status, isCut }));
  later(() => process.exit(isCut ? 255 : status));
});
