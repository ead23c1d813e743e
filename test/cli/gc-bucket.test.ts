/** gc of a store in a bucket, with the commands that people run beside each other. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openS3Backend } from '../../store/backends/s3.node.ts';
import { noise } from '../helpers/golden.ts';
import {
  gateway,
  gatewaySettings,
  gatewayUrl,
  hasGateway,
  makeBucket,
} from '../helpers/radosgw.ts';
import { type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Scene {
  readonly cwd: string;
  /** Locator of the bucket. */
  readonly url: string;
  run(...words: readonly string[]): Promise<RunResult>;
  keys(): Promise<readonly string[]>;
}

async function openScene(t: ExecutionContext): Promise<Scene> {
  t.timeout(240_000);
  const cwd = temporaryFolder(t);
  const url = await gatewayUrl(await makeBucket());
  const { accessKeyId, secretAccessKey } = await gateway();
  const env = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: 'us-east-1',
    CASYNC_STORE: `${url}/store`,
    HOME: cwd,
  };
  return {
    cwd,
    url,
    run: (...words) => runCasync(words, { cwd, env }),
    async keys() {
      const backend = await openS3Backend(url, await gatewaySettings());
      const keys: string[] = [];
      for await (const { key } of backend.list('')) keys.push(key);
      await backend.close();
      return keys;
    },
  };
}

function writeBlob(cwd: string, name: string, seeds: readonly number[]): void {
  const parts = seeds.map((seed) => noise(400_000, seed));
  fs.writeFileSync(join(cwd, name), Buffer.concat(parts));
}

test('gc keeps what indexes in the bucket and here need, and removes all else', async (t) => {
  if (!hasGateway(t)) return;
  const { cwd, url, run, keys } = await openScene(t);
  writeBlob(cwd, 'a', [1, 2]);
  writeBlob(cwd, 'b', [2, 3]);
  writeBlob(cwd, 'c', [3, 4]);
  await succeed(run('make', `${url}/a.caibx`, 'a'));
  await succeed(run('make', 'b.caibx', 'b'));
  await succeed(run('make', `${url}/c.caibx`, 'c'));
  const before = await keys();
  const dry = await succeed(run('gc', '--dry-run', `${url}/a.caibx`, 'b.caibx'));
  t.deepEqual(await keys(), before);
  const [, removable] =
    /^Would remove (\d+) chunks, \d+ chunks remaining\.$/m.exec(`${dry.stdout}`) ?? [];
  t.true(Number(removable) > 0);
  const wet = await succeed(run('gc', '-v', `${url}/a.caibx`, 'b.caibx'));
  t.regex(`${wet.stdout}`, new RegExp(`^Removed ${removable} chunks, 0 directories`, 'm'));
  const after = await keys();
  t.is(before.length - after.length, Number(removable));
  t.deepEqual(
    after.filter((key) => key.startsWith('store/leases')),
    [],
  );
  for (const [index, name] of [
    [`${url}/a.caibx`, 'a'],
    ['b.caibx', 'b'],
  ]) {
    await succeed(run('extract', index, `${name}.out`));
    t.true(fs.readFileSync(join(cwd, `${name}.out`)).equals(fs.readFileSync(join(cwd, name))));
  }
  t.is((await run('extract', `${url}/c.caibx`, 'c.out')).status, 12);
});

test('gc without all of its indexes removes nothing', async (t) => {
  if (!hasGateway(t)) return;
  const { cwd, url, run, keys } = await openScene(t);
  writeBlob(cwd, 'a', [1]);
  await succeed(run('make', `${url}/a.caibx`, 'a'));
  const before = await keys();
  for (const missing of [`${url}/missing.caibx`, `${url}/folder/`, `${url}x/`]) {
    const result = await run('gc', `${url}/a.caibx`, missing);
    t.is(result.status, 10, `${missing}: ${result.stderr}`);
    t.true(
      `${result.stderr}`.startsWith(`Failed to open index "${missing}": `),
      `${result.stderr}`,
    );
  }
  t.deepEqual(await keys(), before);
});

test('makes and gc in one bucket: no index that was made lacks a chunk', async (t) => {
  if (!hasGateway(t)) return;
  const { cwd, url, run, keys } = await openScene(t);
  writeBlob(cwd, 'base', [100]);
  await succeed(run('make', `${url}/base.caibx`, 'base'));
  let isOver = false;
  const make = async (maker: number): Promise<void> => {
    for (let round = 0; round < 4; round++) {
      const name = `m${maker}-${round}`;
      // What both have, what the other had, and what nobody has.
      writeBlob(cwd, name, [round, 10 + ((maker + round) % 2), 20 + 10 * maker + round]);
      await succeed(run('make', `${url}/${name}.caibx`, name));
    }
  };
  const removeIndexes = async (): Promise<void> => {
    const backend = await openS3Backend(url, await gatewaySettings());
    await backend.remove('m0-0.caibx');
    await backend.close();
  };
  const collect = async (): Promise<number> => {
    let count = 0;
    while (!isOver) {
      const result = await run('gc', `${url}/`);
      t.true(result.status === 0 || result.status === 11, `${result.stderr}`);
      if (result.status === 0) count += 1;
    }
    return count;
  };
  const collecting = collect();
  await Promise.all([make(0).then(removeIndexes), make(1)]).finally(() => {
    isOver = true;
  });
  t.true((await collecting) > 0);
  await succeed(run('gc', `${url}/`));
  const indexes = (await keys()).filter((key) => key.endsWith('.caibx'));
  t.is(indexes.length, 8);
  for (const index of indexes) await succeed(run('verify', `${url}/${index}`));
  t.deepEqual(
    (await keys()).filter((key) => key.startsWith('store/leases')),
    [],
  );
});

test('a store in a bucket is described and checked by listing it', async (t) => {
  if (!hasGateway(t)) return;
  const { cwd, url, run, keys } = await openScene(t);
  writeBlob(cwd, 'a', [1, 2]);
  await succeed(run('make', `${url}/a.caibx`, 'a'));
  const chunkCount = (await keys()).filter((key) => key.endsWith('.cacnk')).length;
  const info = await succeed(run('info', '--json', `${url}/store`));
  t.like(JSON.parse(`${info.stdout}`), {
    kind: 'store',
    chunkCount,
    compressions: { zstd: chunkCount },
  });
  t.is(`${(await succeed(run('verify', `${url}/store`))).stdout}`, '');
  const backend = await openS3Backend(url, await gatewaySettings());
  const [damaged, misplaced] = (await keys()).filter((key) => key.endsWith('.cacnk'));
  await backend.put(damaged, noise(100));
  await backend.put(misplaced.replace(/^store\/..../, 'store/0000'), noise(100));
  await backend.put('store/0000/other', noise(100));
  await backend.close();
  const found = await run('verify', `${url}/store`);
  t.is(found.status, 14);
  t.deepEqual(
    `${found.stdout}`
      .trim()
      .split('\n')
      .map((line) => line.split(' ', 1)[0])
      .sort(),
    ['damaged', 'foreign', 'misplaced'],
  );
  t.is((await run('verify', `${url}/a.caibx`)).status, 14);
});
