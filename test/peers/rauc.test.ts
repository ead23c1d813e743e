/** RAUC converts bundles with our command and installs them, beside what it does with the reference. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { ordinaryUserNeeds } from '../helpers/ordinary-user.ts';
import { requirement } from '../helpers/requirements.ts';
import {
  hasSquashfs,
  INSTALL_COMMANDS,
  openMachine,
  openWorkshop,
  type Program,
  RAUC_COMMANDS,
  type Workshop,
} from './rauc-setup.ts';

const KEYS = '--cert=cert.pem --key=key.pem';
const PROGRAMS: readonly Program[] = ['ours', 'reference'];

function makeBundle({ run }: Workshop): void {
  run('reference', `rauc bundle ${KEYS} content plain.raucb`);
}

/** Converts into NAME.raucb and NAME.castr; the content goes to the folder NAME. */
function convert(workshop: Workshop, program: Program, extra = ''): void {
  const words = `rauc convert ${KEYS} --keyring=cert.pem ${extra} plain.raucb ${program}.raucb`;
  workshop.run(program, `${words}; unsquashfs -n -q -d ${program} ${program}.raucb`);
}

/** Paths that differ between runs in a word each. */
function callsOf({ calls }: Workshop): readonly string[] {
  return calls().map((line) =>
    line
      .replaceAll(/\S*\/rauc-casync-\w+\/content/g, 'CONTENT')
      .replaceAll(/\S*\/(arch-\w+)/g, 'TMP'),
  );
}

function compareConversions(t: ExecutionContext, workshop: Workshop): void {
  for (const name of ['rootfs.img.caibx', 'app.tar.caidx']) {
    const [ours, reference] = PROGRAMS.map((program) =>
      readFileSync(join(workshop.folder, program, name)),
    );
    t.true(ours.length > 0 && ours.equals(reference), `${name} is the same`);
  }
  const list = 'cd $0.castr && find -type f -printf "%f\\n" | sort';
  const [ours, reference] = PROGRAMS.map((program) =>
    workshop.run(program, `bash -c '${list}' ${program}`),
  );
  t.is(ours, reference);
}

for (const format of ['plain', 'verity'] as const) {
  for (const asUser of [false, true]) {
    const who = asUser ? 'an ordinary user' : 'root';
    test(`a ${format} bundle is converted by ${who} as with the reference`, (t) => {
      const needs = asUser ? ordinaryUserNeeds() : { root: true };
      if (!requirement(t, { ...needs, commands: [...RAUC_COMMANDS, 'setpriv'] })) return;
      const workshop = openWorkshop(t, format, asUser);
      makeBundle(workshop);
      for (const program of PROGRAMS) convert(workshop, program);
      compareConversions(t, workshop);
      t.deepEqual(callsOf(workshop), [
        'casync make CONTENT/rootfs.img.caibx CONTENT/rootfs.img --store ours.castr',
        'casync make --with=unix CONTENT/app.tar.caidx TMP --store ours.castr',
      ]);
    });
  }
}

test('further words of the user reach us', (t) => {
  if (!requirement(t, { root: true, commands: RAUC_COMMANDS })) return;
  const workshop = openWorkshop(t, 'plain');
  makeBundle(workshop);
  const extra = '--casync-args="--chunk-size=30000 --compression=xz"';
  for (const program of PROGRAMS) convert(workshop, program, extra);
  compareConversions(t, workshop);
  t.regex(callsOf(workshop)[0], / --store ours\.castr --chunk-size=30000 --compression=xz$/);
});

function digestOfBegin(device: string, length: number): string {
  const bytes = Buffer.alloc(length);
  const descriptor = openSync(device, 'r');
  readSync(descriptor, bytes, 0, length, 0);
  closeSync(descriptor);
  return createHash('sha256').update(bytes).digest('hex');
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A running system whose image is an older version of the new one. */
async function installs(
  t: ExecutionContext,
  converting: Program,
  installing: Program,
): Promise<void> {
  const needs = {
    root: true,
    commands: [...INSTALL_COMMANDS, 'dbus-send'],
    conditions: { 'a kernel that mounts squashfs': hasSquashfs() },
  };
  if (!requirement(t, needs)) return;
  const workshop = openWorkshop(t, 'plain');
  const { folder, image } = workshop;
  makeBundle(workshop);
  convert(workshop, converting);
  const oldImage = Buffer.from(image);
  oldImage.set(noise(5000, 3), 1_000_000);
  const machine = openMachine(t, workshop, oldImage);
  const store = join(folder, `${converting}.castr`);
  await machine.install(installing, `${converting}.raucb`, store);

  t.is(digestOfBegin(machine.imageSlot, image.length), sha256(image), 'the image is there');
  const rest = readFileSync(machine.imageSlot).subarray(image.length);
  t.true(
    rest.every((byte) => byte === 'x'.charCodeAt(0)),
    'the rest of the device stays',
  );
  const digestOf = (input: string): string =>
    execFileSync('casync', ['digest', '--with=unix', `--store=${store}`, input], {
      encoding: 'utf8',
    });
  t.is(
    machine.withTreeSlot(digestOf),
    digestOf(join(folder, converting, 'app.tar.caidx')),
    'the tree is there',
  );
  if (installing !== 'ours') return;
  const calls = workshop.calls().slice(-2);
  t.regex(
    calls[0],
    /^casync extract --seed \/dev\/\S+ --store \S+ --seed-output=no \S+\.caibx \/dev\//,
  );
  t.regex(
    calls[1],
    /^casync extract --seed \S+ --store \S+ --seed-output=no \S+\.caidx \S+\/app\.1$/,
  );
}

// One after another: each occupies loop devices and a service.
test.serial('we convert and install a bundle', (t) => installs(t, 'ours', 'ours'));
test.serial('we install what the reference has converted', (t) => installs(t, 'reference', 'ours'));
test.serial('the reference installs what we have converted', (t) =>
  installs(t, 'ours', 'reference'),
);
