/** The life of a block device over a system that keeps account and fails where it is told to. */
import test from 'ava';
import { PipelineError } from '../../../../lib/errors.ts';
import type { NbdSystem } from '../../../../lib/os/nbd-device.node.ts';
import { systemFailure } from '../../../../lib/os/system-error.node.ts';
import { type AttachOptions, attachDevice } from '../../../../lib/serve/nbd/kernel-device.node.ts';

const SIZE = 4096;
const EIO = 5;
const EINVAL = 22;

interface FakeOptions {
  /** Devices 0 to this number are there. */
  readonly count?: number;
  readonly connected?: readonly number[];
  /** Called before each step; throws to make it fail. */
  readonly before?: (step: string) => void;
  /** What holding ends with at once, instead of with the device. */
  readonly holdResult?: number;
}

/** A system with devices whose state is in its fields. */
function fakeSystem({ count = 4, connected = [], before, holdResult }: FakeOptions = {}) {
  const steps: string[] = [];
  const open = new Set<number>();
  const taken = new Set(connected);
  const names = new Set<number>();
  let lastDescriptor = 100;
  const numbers = new Map<number, number>();
  const held = new Map<number, (errno: number) => void>();
  const step = (text: string): void => {
    steps.push(text);
    before?.(text);
  };
  const descriptor = (): number => {
    lastDescriptor += 1;
    open.add(lastDescriptor);
    return lastDescriptor;
  };
  const numberOf = (device: number): number => numbers.get(device) ?? -1;
  const system: NbdSystem = {
    open(number) {
      step(`open ${number}`);
      if (number >= count) throw systemFailure('open', 'ENOENT', `/dev/nbd${number}`);
      const opened = descriptor();
      numbers.set(opened, number);
      return opened;
    },
    close: (closed) => void open.delete(closed),
    isConnected: (number) => taken.has(number),
    size: (device) => (taken.has(numberOf(device)) ? SIZE : 0),
    socketPair() {
      step('socketPair');
      return { ours: descriptor(), theirs: descriptor() };
    },
    request(device, request) {
      step(request);
      if (request === 'clearSocket') held.get(device)?.(0);
    },
    clearReadOnly: () => step('clearReadOnly'),
  };
  const options: AttachOptions = {
    size: SIZE,
    flags: 3,
    async onClaimed(number) {
      step('name');
      names.add(number);
      return () => void names.delete(number);
    },
    serve(socket) {
      step('serve');
      return { close: async () => void open.delete(socket) };
    },
    hold(device) {
      step('hold');
      if (holdResult !== undefined) return Promise.resolve(holdResult);
      taken.add(numberOf(device));
      return new Promise((resolve) => {
        held.set(device, (errno) => {
          taken.delete(numberOf(device));
          resolve(errno);
        });
      });
    },
  };
  return { system, options, steps, open, taken, names, held };
}

test('a device is claimed by its socket, described, served and held, in this order', async (t) => {
  const fake = fakeSystem();
  const device = await attachDevice(fake.system, fake.options);
  t.is(device.number, 0);
  t.deepEqual(fake.steps, [
    'open 0',
    'socketPair',
    'setSocket',
    'name',
    'clearReadOnly',
    'setBlockSize',
    'setBlockCount',
    'setFlags',
    'serve',
    'hold',
  ]);
});

test('detaching gives up the name first, and leaves nothing', async (t) => {
  const fake = fakeSystem({
    before: (step) => t.false(step === 'clearSocket' && fake.names.size > 0),
  });
  const device = await attachDevice(fake.system, fake.options);
  t.is(fake.names.size, 1);
  device.detach();
  await device.ended;
  t.deepEqual([fake.open.size, fake.taken.size, fake.names.size], [0, 0, 0]);
});

const STEPS = [
  'open 0',
  'socketPair',
  'setSocket',
  'name',
  'clearReadOnly',
  'setBlockSize',
  'setBlockCount',
  'setFlags',
  'serve',
  'hold',
];

for (const failing of STEPS) {
  test(`a failure to ${failing} is told and leaves nothing`, async (t) => {
    const failure = new PipelineError('DENIED', { reason: 'made to fail' });
    const fake = fakeSystem({
      before: (step) => {
        if (step === failing) throw failure;
      },
    });
    const thrown = await t.throwsAsync(attachDevice(fake.system, fake.options));
    t.is(thrown, failure);
    t.deepEqual([fake.open.size, fake.taken.size, fake.names.size], [0, 0, 0]);
  });
}

test('devices that are connected or claimed by others are passed over', async (t) => {
  let claims = 0;
  const fake = fakeSystem({
    connected: [0],
    before: (step) => {
      if (step === 'setSocket' && ++claims === 1) throw systemFailure('connect', 'EBUSY');
    },
  });
  const device = await attachDevice(fake.system, fake.options);
  t.is(device.number, 2);
  t.false(fake.steps.includes('open 0'));
});

test('without a free device the failure is that they are busy', async (t) => {
  const fake = fakeSystem({ count: 2, connected: [0, 1] });
  await t.throwsAsync(attachDevice(fake.system, fake.options), { message: /resource busy/ });
});

test('without any device the failure is that there is none', async (t) => {
  const fake = fakeSystem({ count: 0 });
  await t.throwsAsync(attachDevice(fake.system, fake.options), { message: /nbd0.*No such file/ });
});

test('a device that is wanted and busy is refused', async (t) => {
  const fake = fakeSystem({ connected: [1] });
  const attached = attachDevice(fake.system, { ...fake.options, number: 1 });
  await t.throwsAsync(attached, { message: /nbd1.*resource busy/ });
});

test('a device that others have not let go of yet is tried again', async (t) => {
  let claims = 0;
  const fake = fakeSystem({
    before: (step) => {
      if (step === 'setSocket' && ++claims < 3) throw systemFailure('connect', 'EBUSY');
    },
  });
  const device = await attachDevice(fake.system, { ...fake.options, number: 1 });
  t.deepEqual([device.number, claims], [1, 3]);
});

test('what the kernel says instead of holding a device is the failure', async (t) => {
  const fake = fakeSystem({ holdResult: EIO });
  await t.throwsAsync(attachDevice(fake.system, fake.options), { message: /Input\/output error/ });
  t.deepEqual([fake.open.size, fake.names.size], [0, 0]);
});

test('a device that the kernel does not start, as others still have it, is passed over', async (t) => {
  const fake = fakeSystem({ count: 3, holdResult: EINVAL });
  await t.throwsAsync(attachDevice(fake.system, fake.options), { message: /Invalid argument/ });
  t.is(fake.steps.filter((step) => step === 'hold').length, 3);
  t.is(fake.open.size, 0);
});

test('a device that others disconnect ends without failure', async (t) => {
  const fake = fakeSystem();
  const device = await attachDevice(fake.system, fake.options);
  fake.held.get(device.descriptor)?.(0);
  await t.notThrowsAsync(device.ended);
  t.deepEqual([fake.open.size, fake.names.size], [0, 0]);
});

test('a connection that breaks is a failure, and leaves nothing', async (t) => {
  const fake = fakeSystem();
  const device = await attachDevice(fake.system, fake.options);
  fake.held.get(device.descriptor)?.(EIO);
  await t.throwsAsync(device.ended, { message: /Input\/output error/ });
  t.deepEqual([fake.open.size, fake.names.size], [0, 0]);
});

test('a signal that fired before leaves no trace', async (t) => {
  const fake = fakeSystem();
  const signal = AbortSignal.abort();
  await t.throwsAsync(attachDevice(fake.system, { ...fake.options, signal }));
  t.deepEqual(fake.steps, []);
});
