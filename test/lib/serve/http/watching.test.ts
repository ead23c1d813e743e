/** Metrics, the access log and what they must never show. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { accessLine } from '../../../../lib/serve/http/access-line.ts';
import { Metrics } from '../../../../lib/serve/http/metrics.ts';
import { exchange, rawExchange } from '../../../helpers/http-exchange.ts';
import {
  BEARER,
  chunkPath,
  folderToServe,
  startServer,
  startWritable,
  TOKEN,
} from '../../../helpers/served-folder.ts';

const LINE = /^\d{4}-\d\d-\d\dT[\d:.]+Z \S+ [A-Z]+ \S+ \d{3} \d+ [\d.]+ms (complete|broken)$/;

test('requests are counted by method, class and kind', async (t) => {
  const served = await folderToServe(t);
  const { address } = await startServer(t, served.folder);
  await exchange(address, { path: '/x.caibx' });
  await exchange(address, { path: '/x.caibx', method: 'HEAD' });
  await exchange(address, { path: '/x.caibx', method: 'DELETE' });
  const chunk = await exchange(address, { path: chunkPath(served.ids[0]) });
  await exchange(address, { path: '/nothing' });
  const { body, headers } = await exchange(address, { path: '/metrics' });
  const lines = body.toString().split('\n');
  for (const [labels, count] of [
    ['method="GET",class="2xx",kind="index"', 1],
    ['method="HEAD",class="2xx",kind="index"', 1],
    ['method="other",class="4xx",kind="index"', 1],
    ['method="GET",class="2xx",kind="chunk"', 1],
    ['method="GET",class="4xx",kind="none"', 1],
  ]) {
    t.true(lines.includes(`casync_serve_requests_total{${labels}} ${count}`), `${labels}`);
  }
  t.true(lines.includes('casync_serve_requests_in_flight 1'));
  t.true(lines.includes('casync_serve_request_duration_seconds_count 5'));
  const sent = served.index.length + chunk.body.length + 'Not allowed.\nNot found.\n'.length;
  t.true(lines.includes(`casync_serve_sent_bytes_total ${sent}`));
  t.regex(String(headers['content-type']), /^text\/plain/);
});

test('every line of the metrics is one that Prometheus reads', (t) => {
  const metrics = new Metrics([{ name: 'a', help: 'b', type: 'gauge', value: () => 1.5 }]);
  const request = { bytesSent: 1, bytesReceived: 2, seconds: 0.3 };
  metrics.begin();
  metrics.end({ ...request, method: 'X"\n', kind: 'none', status: 200, refusal: 'busy' });
  metrics.clientError(400);
  const sample = /^[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+$/;
  for (const line of metrics.text().trimEnd().split('\n')) {
    t.regex(line, line.startsWith('#') ? /^# (HELP|TYPE) casync_serve_[a-z_]+ / : sample);
  }
  t.regex(metrics.text(), /_bucket\{le="0.25"\} 0\n.*_bucket\{le="0.5"\} 1\n/);
});

test('whatever is asked for, the number of lines stays small', async (t) => {
  const { folder } = await folderToServe(t);
  const { address } = await startWritable(t, folder);
  for (let i = 0; i < 200; i++) {
    await exchange(address, { path: `/${i}.caibx`, method: i % 2 ? 'GET' : 'PUT' });
    if (i % 10 === 0) await exchange(address, { path: `/${i}`, method: 'PROPFIND' });
  }
  const { body } = await exchange(address, { path: '/metrics' });
  t.true(body.toString().split('\n').length < 100);
});

test('refused uploads are counted by reason', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const { address } = await startWritable(t, folder);
  const path = chunkPath(ids[0]).replaceAll(ids[0].slice(0, 4), 'abcd');
  await exchange(address, { path, method: 'PUT', body: 'x' });
  await exchange(address, { path, method: 'PUT', body: 'x', headers: BEARER });
  await exchange(address, { path: '/x', method: 'PUT', body: 'x', headers: BEARER });
  const text = (await exchange(address, { path: '/metrics' })).body.toString();
  for (const reason of ['unauthorized', 'content', 'name']) {
    t.true(text.includes(`uploads_refused_total{reason="${reason}"} 1\n`), reason);
  }
});

test('one line for each request, whatever is asked for', async (t) => {
  const { folder } = await folderToServe(t);
  const log = join(folder, 'log');
  const server = await startServer(t, folder, { accessLog: log });
  const { address } = server;
  await exchange(address, { path: '/x.caibx' });
  for (const target of ['/a%0d%0ab', '/\x1b[31m', '/a\\b', '/"', "/'", '/\xff', '/a#b', '/a;b']) {
    const request = `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;
    await rawExchange(address, request);
  }
  await server.close();
  const lines = fs.readFileSync(log, 'latin1').trimEnd().split('\n');
  for (const line of lines) {
    t.regex(line, LINE);
    t.regex(line, /^[\x21-\x7e ]+$/);
  }
  t.regex(lines[0], / 127\.0\.0\.1 GET \/x\.caibx 200 \d+ .* complete$/);
});

test('after it was renamed the log goes on in a new file', async (t) => {
  const { folder } = await folderToServe(t);
  const log = join(folder, 'log');
  const server = await startServer(t, folder, { accessLog: log });
  await exchange(server.address, { path: '/before.caibx' });
  fs.renameSync(log, `${log}.1`);
  server.reload();
  await exchange(server.address, { path: '/after.caibx' });
  await server.close();
  t.regex(fs.readFileSync(`${log}.1`, 'utf8'), /before/);
  t.regex(fs.readFileSync(log, 'utf8'), /^[^\n]*after[^\n]*\n$/);
});

test('no credential is ever logged, counted or told', async (t) => {
  const { folder, ids } = await folderToServe(t);
  const log = join(folder, 'log');
  const failures: unknown[] = [];
  const onFailure = (error: unknown): void => {
    failures.push(error);
  };
  const server = await startWritable(t, folder, { accessLog: log, onFailure });
  const { address } = server;
  const basic = Buffer.from(`user:${TOKEN}`).toString('base64');
  const answers: string[] = [];
  for (const target of [
    ...[`/x.caibx?token=${TOKEN}`, `/x.caibx;${TOKEN}`, `/x.caibx#${TOKEN}`],
    ...[`//user:${TOKEN}@h/x.caibx`, `http://user:${TOKEN}@h/x.caibx`, `/u:${TOKEN}%40h/x.caibx`],
    ...[chunkPath(ids[0]), '/%'],
  ]) {
    for (const method of ['GET', 'PUT', 'HEAD']) {
      for (const authorization of [`Bearer ${TOKEN}`, `Bearer ${TOKEN}x`, `Basic ${basic}`]) {
        const headers = `Host: h\r\nConnection: close\r\nAuthorization: ${authorization}\r\n`;
        const request = `${method} ${target} HTTP/1.1\r\n${headers}Content-Length: 0\r\n\r\n`;
        answers.push(await rawExchange(address, request));
      }
    }
  }
  answers.push((await exchange(address, { path: '/metrics' })).body.toString());
  await server.close();
  const texts = [...answers, fs.readFileSync(log, 'latin1'), ...failures.map(String)];
  for (const text of texts) t.false(text.includes(TOKEN) || text.includes(basic));
});

test('a line shows no path that could have a password', (t) => {
  const request = { address: '', method: 'GET', status: 200, bytesSent: 1, seconds: 0.0123 };
  const lineOf = (target: string): string =>
    accessLine({ ...request, time: new Date(0), target, isComplete: true });
  t.is(lineOf('/a b?c'), '1970-01-01T00:00:00.000Z - GET /a\\040b 200 1 12.3ms complete\n');
  for (const target of ['http://u:p@h/', '*', '//u:p@h/', '/u:p%40h', 'u:p']) {
    t.true(lineOf(target).includes(' GET - 200 '), target);
  }
  t.true(lineOf(`/${'x'.repeat(5000)}`).length < 600);
});
