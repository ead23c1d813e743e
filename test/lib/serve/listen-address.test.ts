/** Where to listen, as text. */
import test from 'ava';
import { listenUrl, parseListenAddress } from '../../../lib/serve/listen-address.ts';

for (const [text, expected] of [
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:8080', { host: '::1', port: 8080 }],
  [':8080', { port: 8080 }],
  ['unix:/run/casync.socket', { path: '/run/casync.socket' }],
] as const) {
  test(`${text} is an address`, (t) => {
    t.deepEqual(parseListenAddress(text), expected);
  });
}

for (const text of ['', '8080', '127.0.0.1', '127.0.0.1:', 'h:65536', '::1:80', 'unix:', 'a b:1']) {
  test(`"${text}" is no address`, (t) => {
    t.throws(() => parseListenAddress(text), { message: /not ADDRESS:PORT or unix:PATH/ });
  });
}

test('an address of six is put into brackets', (t) => {
  t.is(listenUrl('http', '::1', 80), 'http://[::1]:80');
  t.is(listenUrl('https', '10.0.0.1', 80), 'https://10.0.0.1:80');
});
