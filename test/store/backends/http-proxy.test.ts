import test from 'ava';
import { proxyFor } from '../../../store/backends/http-proxy.ts';

type Environment = Readonly<Record<string, string>>;

function proxyOf(url: string, environment: Environment, proxy?: string): string | undefined {
  return proxyFor(new URL(url), { environment, ...(proxy === undefined ? {} : { proxy }) });
}

test('the variable of the scheme wins, then the one for all', (t) => {
  const environment = { http_proxy: 'http://a:1', HTTPS_PROXY: 'b:2', all_proxy: 'http://c:3' };
  t.is(proxyOf('http://h/', environment), 'http://a:1');
  t.is(proxyOf('https://h/', environment), 'http://b:2');
  t.is(proxyOf('https://h/', { ALL_PROXY: 'http://c:3' }), 'http://c:3');
  t.is(proxyOf('http://h/', { https_proxy: 'http://b:2' }), undefined);
  t.is(proxyOf('http://h/', { http_proxy: 'http://a:1', HTTP_PROXY: 'http://z:9' }), 'http://a:1');
  t.is(proxyOf('http://h/', { http_proxy: '', HTTP_PROXY: 'http://z:9' }), undefined);
  t.is(proxyOf('http://h/', {}), undefined);
});

test('the setting wins over the environment and its exceptions', (t) => {
  const environment = { http_proxy: 'http://a:1', no_proxy: '*' };
  t.is(proxyOf('http://h/', environment, 'http://s:8'), 'http://s:8');
  t.is(proxyOf('http://h/', { http_proxy: 'http://a:1' }, 'none'), undefined);
});

test('exceptions are hosts, domains, ports, networks, or everything', (t) => {
  const isDirect = (url: string, list: string): boolean =>
    proxyOf(url, { http_proxy: 'p', https_proxy: 'p', NO_PROXY: list }) === undefined;
  for (const [url, list] of [
    ['http://anything/', '*'],
    ['http://host.example/', 'host.example'],
    ['http://host.example/', 'other, HOST.example'],
    ['http://a.host.example/', '.host.example'],
    ['http://host.example/', '.host.example'],
    ['http://a.host.example/', '*.host.example'],
    ['http://host.example:8080/', 'host.example:8080'],
    ['https://host.example/', 'host.example:443'],
    ['http://10.1.2.3/', '10.0.0.0/8'],
    ['http://192.168.1.77/', 'x 192.168.1.64/26'],
    ['http://[::1]:80/', '[::1]'],
    ['http://[::1]/', '::1'],
  ]) {
    t.true(isDirect(url, list), `${url} ${list}`);
  }
  for (const [url, list] of [
    ['http://host.example/', ''],
    ['http://xhost.example/', 'host.example'],
    ['http://host.example/', 'a.host.example'],
    ['http://host.example:81/', 'host.example:80'],
    ['http://11.1.2.3/', '10.0.0.0/8'],
    ['http://10.1.2.3/', '10.0.0.0/99'],
    ['http://10.1.2.3/', '0.0/8'],
    ['http://host.example/', '0.0.0.0/0'],
  ]) {
    t.false(isDirect(url, list), `${url} ${list}`);
  }
});
