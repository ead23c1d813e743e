/** The limit on requests, against simulated servers: no time passes. */
import test from 'ava';
import { Concurrency, type RequestOutcome } from '../../../store/wrap/concurrency.ts';

interface Server {
  /** Without a queue. */
  readonly latencyMs: number;
  /** Requests that it can do in a millisecond, by the number of those under way. */
  readonly rate: (underWay: number) => number;
  /** More than these at a time are refused at once. */
  readonly most?: number;
  readonly refusal?: RequestOutcome;
}

interface Moment {
  readonly atMs: number;
  readonly limit: number;
}

/** Keeps as many requests under way as may be, up to `demand`; the limit over time. */
function simulate(
  server: Server,
  { forMs, demand = 10_000, ceiling = 512 }: { forMs: number; demand?: number; ceiling?: number },
): { readonly moments: readonly Moment[]; readonly answered: number } {
  const concurrency = new Concurrency({ ceiling, start: 64 });
  const { most = Number.POSITIVE_INFINITY, refusal = 'refused' } = server;
  const moments: Moment[] = [];
  const ends = new Map<number, { startedAtMs: number; outcome: RequestOutcome }[]>();
  let [underWay, inServer, freeAtMs, answered] = [0, 0, 0, 0];
  // In tenths of a millisecond.
  for (let tick = 0; tick < forMs * 10; tick++) {
    const nowMs = tick / 10;
    for (const { startedAtMs, outcome } of ends.get(tick) ?? []) {
      concurrency.finished({ startedAtMs, outcome }, underWay, nowMs);
      underWay--;
      if (outcome !== 'answered') continue;
      inServer--;
      answered++;
    }
    ends.delete(tick);
    while (underWay < Math.min(concurrency.limit, demand)) {
      const isRefused = inServer >= most;
      underWay++;
      if (!isRefused) inServer++;
      freeAtMs = isRefused ? freeAtMs : Math.max(nowMs, freeAtMs) + 1 / server.rate(inServer);
      const endMs = isRefused ? nowMs + 1 : Math.max(nowMs + server.latencyMs, freeAtMs);
      const end = Math.max(tick + 1, Math.round(endMs * 10));
      const entry = { startedAtMs: nowMs, outcome: isRefused ? refusal : 'answered' } as const;
      ends.set(end, [...(ends.get(end) ?? []), entry]);
    }
    if (moments.at(-1)?.limit !== concurrency.limit) {
      moments.push({ atMs: nowMs, limit: concurrency.limit });
    }
  }
  return { moments, answered };
}

function limitAt(moments: readonly Moment[], atMs: number): number {
  return moments.findLast((moment) => moment.atMs <= atMs)?.limit ?? 0;
}

test('with latency, hundreds are under way within a second', (t) => {
  for (const latencyMs of [10, 20, 50, 100]) {
    const { moments } = simulate({ latencyMs, rate: () => 40 }, { forMs: 3000 });
    t.log(`${latencyMs} ms: ${JSON.stringify(moments)}`);
    t.true(limitAt(moments, Math.max(1000, latencyMs * 20)) > 300, `${latencyMs} ms`);
    t.true(moments.every(({ limit }) => limit <= 512));
  }
});

test('a quick server that has enough to do is not given more', (t) => {
  const { moments } = simulate({ latencyMs: 1, rate: () => 10 }, { forMs: 20_000 });
  t.log(JSON.stringify(moments));
  t.true(moments.every(({ limit }) => limit <= 128));
  t.is(moments.at(-1)?.limit, 64);
  t.true(moments.length < 20);
});

test('a server that gets slower with more under way is left alone', (t) => {
  const rate = (underWay: number): number => (underWay <= 80 ? 5 : 5 * (80 / underWay));
  const { moments, answered } = simulate({ latencyMs: 10, rate }, { forMs: 20_000 });
  t.true((moments.at(-1)?.limit ?? 0) <= 80);
  t.true(answered > 0.9 * 5 * 20_000);
});

test('whoever refuses is asked half as much, and keeps most of what it can do', (t) => {
  for (const refusal of ['refused', 'lost'] as const) {
    const server: Server = { latencyMs: 20, rate: () => 40, most: 100, refusal };
    const { moments, answered } = simulate(server, { forMs: 30_000 });
    t.log(`${refusal}: ${JSON.stringify(moments)}`);
    t.true(moments.some(({ limit }) => limit < 100));
    t.true(moments.filter(({ atMs }) => atMs > 2000).every(({ limit }) => limit <= 130));
    t.true(answered > 0.55 * (100 / 20) * 30_000, `${answered}`);
  }
});

test('where everything is refused, one at a time goes on', (t) => {
  const server: Server = { latencyMs: 20, rate: () => 40, most: 0 };
  t.is(simulate(server, { forMs: 5000 }).moments.at(-1)?.limit, 1);
});

test('a server that comes back is soon used as before', (t) => {
  const concurrency = new Concurrency({ ceiling: 512, start: 64 });
  let nowMs = 0;
  const failUntil = (endMs: number): void => {
    for (; nowMs < endMs; nowMs += 10) {
      concurrency.finished({ startedAtMs: nowMs - 1, outcome: 'lost' }, concurrency.limit, nowMs);
    }
  };
  failUntil(60_000);
  t.is(concurrency.limit, 1);
  while (nowMs < 65_000) {
    const { limit } = concurrency;
    for (let i = 0; i < limit; i++) {
      const startedAtMs = nowMs;
      concurrency.finished({ startedAtMs, outcome: 'answered' }, limit, nowMs + 20);
    }
    nowMs += 20;
  }
  t.true(concurrency.limit > 64, `${concurrency.limit}`);
});

test('nothing is tried where nobody wants more', (t) => {
  const { moments } = simulate({ latencyMs: 20, rate: () => 40 }, { forMs: 5000, demand: 30 });
  t.deepEqual(moments, [{ atMs: 0, limit: 64 }]);
});

test('the ceiling holds from the beginning', (t) => {
  for (const ceiling of [1, 10, 64, 200]) {
    const { moments } = simulate({ latencyMs: 20, rate: () => 40 }, { forMs: 2000, ceiling });
    t.true(moments.every(({ limit }) => limit <= ceiling));
    t.is(moments.at(-1)?.limit, ceiling);
  }
});
