import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { leaseForGc, whileInUse } from '../../../lib/maintain/store-lease.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

test('a lease is there while the work is done, and says who works on what', async (t) => {
  const store = join(temporaryFolder(t), 's.castr');
  fs.mkdirSync(store);
  const result = await whileInUse({ folder: store }, { index: 'some/x.caibx' }, async (lease) => {
    const [name, ...others] = fs.readdirSync(join(store, 'leases'));
    t.regex(name, /^[0-9a-f]{16}\.shared$/);
    t.deepEqual(others, []);
    const holder = JSON.parse(fs.readFileSync(join(store, 'leases', name), 'utf8'));
    t.is(holder.processId, process.pid);
    t.is(holder.index, join(process.cwd(), 'some/x.caibx'));
    await lease.confirm();
    return 5;
  });
  t.is(result, 5);
  t.deepEqual(fs.readdirSync(store), []);
});

test('work that fails gives its lease back', async (t) => {
  const store = join(temporaryFolder(t), 's.castr');
  fs.mkdirSync(store);
  const work = whileInUse({ folder: store }, {}, async () => {
    throw new TypeError('broken');
  });
  await t.throwsAsync(work, { message: 'broken' });
  t.deepEqual(fs.readdirSync(store), []);
});

test('a store that was made for a lease only is not left', async (t) => {
  const store = join(temporaryFolder(t), 's.castr');
  await whileInUse({ folder: store }, {}, async () => t.true(fs.existsSync(store)));
  t.false(fs.existsSync(store));
  await whileInUse({ folder: store }, {}, async () => fs.mkdirSync(join(store, 'abcd')));
  t.true(fs.existsSync(store));
});

test('a lease that is taken away fails the confirmation, and the work if it ends later', async (t) => {
  const store = join(temporaryFolder(t), 's.castr');
  fs.mkdirSync(store);
  const takeAway = () => fs.rmSync(join(store, 'leases'), { recursive: true });
  const confirming = whileInUse({ folder: store }, {}, async (lease) => {
    takeAway();
    await lease.confirm();
  });
  await t.throwsAsync(confirming, { code: 'LEASE_LOST', message: /gave no sign of life/ });
  const late = whileInUse({ folder: store }, {}, async (lease) => {
    await lease.confirm();
    takeAway();
  });
  await t.throwsAsync(late, { code: 'LEASE_LOST', message: /make it again/ });
});

test('a gc in the same program is waited for, and can be given up', async (t) => {
  const store = join(temporaryFolder(t), 's.castr');
  fs.mkdirSync(store);
  const lease = await leaseForGc(store, {});
  const order: string[] = [];
  const work = whileInUse({ folder: store }, { onWait: () => void release() }, async () =>
    order.push('work'),
  );
  async function release(): Promise<void> {
    order.push('release');
    await lease.release();
  }
  await work;
  t.deepEqual(order, ['release', 'work']);
  const again = await leaseForGc(store, {});
  const controller = new AbortController();
  const onWait = () => controller.abort();
  const stopped = whileInUse({ folder: store }, { signal: controller.signal, onWait }, async () =>
    t.fail(),
  );
  await t.throwsAsync(stopped, { code: 'ABORTED' });
  await again.release();
  t.deepEqual(fs.readdirSync(store), []);
});

// One after another: the user is that of the whole process.
test.serial('a store that may not be written is used without a lease', async (t) => {
  const folder = temporaryFolder(t);
  const store = join(folder, 's.castr');
  fs.mkdirSync(store);
  for (const path of [folder, store]) fs.chmodSync(path, 0o555);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    const work = whileInUse({ folder: store }, {}, async (lease) => {
      await lease.confirm();
      return fs.readdirSync(store);
    });
    t.deepEqual(await work, []);
    await t.throwsAsync(leaseForGc(store, {}), { code: 'DENIED' });
  } finally {
    if (isRoot) process.seteuid?.(0);
    for (const path of [folder, store]) fs.chmodSync(path, 0o755);
  }
});
