/** Configuration files: what they may hold, what wins, what is said of mistakes (spec/remote.md). */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  configuredFields,
  readConfigurations,
} from '../../../lib/config/location-settings.node.ts';
import { shownFields } from '../../../lib/config/show.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const SECRET = 'canary-4711';

const FULL_TOML = `
store = "https://example.org/x.castr"
extra-stores = ["b.castr", "ssh.example.org:c.castr"]
cache-store = "~/cache.castr"
rate-limit = "1M"

[[location]]
match = "https://example.org/**"
user = "reader"
password = "${SECRET}"
headers = { "X-Key" = "${SECRET}" }
proxy = "none"
certificate-authorities = "ca.pem"
client-certificate = "~/cert.pem"
client-key = "/abs/key.pem"
timeout = 2.5
attempts = 3
concurrency = 16
rate-limit = 1000

[[location]]
match = "s3://bucket"
region = "eu-central-1"
profile = "backup"
access-key-id = "AK"
secret-access-key = "${SECRET}"
session-token = "${SECRET}"
endpoint = "https://s3.example.org"
path-style = true

[[location]]
match = "ssh://host"
ssh-program = "/usr/bin/ssh"
remote-program = "/opt/casync"
`;

interface Files {
  readonly folder: string;
  readonly warnings: string[];
  /** Writes a file that only its owner may read. */
  readonly write: (name: string, text: string) => string;
  readonly read: (...names: string[]) => ReturnType<typeof readConfigurations>;
}

function files(t: ExecutionContext): Files {
  const folder = temporaryFolder(t);
  const warnings: string[] = [];
  return {
    folder,
    warnings,
    write(name, text) {
      const path = join(folder, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    },
    read: (...names) =>
      readConfigurations(
        names.map((name) => join(folder, name)),
        { environment: { HOME: '/home/me' }, onWarning: (text) => warnings.push(text) },
      ),
  };
}

test('every key is read, and paths begin where the file is', async (t) => {
  const { folder, read, write, warnings } = files(t);
  write('casync.toml', FULL_TOML);
  const configuration = await read('casync.toml');
  t.deepEqual(configuration.defaults, {
    store: 'https://example.org/x.castr',
    extraStores: [join(folder, 'b.castr'), 'ssh.example.org:c.castr'],
    cacheStore: '/home/me/cache.castr',
    rateLimit: 1 << 20,
  });
  const fields = (locator: string) =>
    configuredFields(configuration, locator, (text) => warnings.push(text));
  t.deepEqual(fields('https://example.org/a'), {
    user: 'reader',
    password: SECRET,
    headers: { 'X-Key': SECRET },
    proxy: 'none',
    certificateAuthorities: join(folder, 'ca.pem'),
    clientCertificate: '/home/me/cert.pem',
    clientKey: '/abs/key.pem',
    timeoutMs: 2500,
    attemptCount: 3,
    concurrency: 16,
    rateLimit: 1000,
  });
  t.deepEqual(fields('s3://bucket/a'), {
    region: 'eu-central-1',
    profile: 'backup',
    accessKeyId: 'AK',
    secretAccessKey: SECRET,
    sessionToken: SECRET,
    endpoint: 'https://s3.example.org',
    pathStyle: true,
    rateLimit: 1 << 20,
  });
  t.deepEqual(fields('me@host:x'), {
    sshProgram: '/usr/bin/ssh',
    remoteProgram: '/opt/casync',
    rateLimit: 1 << 20,
  });
  t.deepEqual(warnings, []);
});

test('JSON says the same', async (t) => {
  const { read, write } = files(t);
  write('casync.toml', FULL_TOML);
  const { parse } = await import('smol-toml');
  write('casync.json', JSON.stringify(parse(FULL_TOML), undefined, 2));
  const [toml, json] = [await read('casync.toml'), await read('casync.json')];
  t.deepEqual(json.defaults, toml.defaults);
  t.deepEqual(
    json.locations.map(({ match, fields }) => [match, fields]),
    toml.locations.map(({ match, fields }) => [match, fields]),
  );
});

test('empty files say nothing', async (t) => {
  const { read, write } = files(t);
  write('a.toml', '');
  write('b.json', '');
  write('c.json', '{}');
  for (const name of ['a.toml', 'b.json', 'c.json']) {
    t.like(await read(name), { defaults: {}, locations: [] });
  }
});

test('what says more of a place wins, key by key, wherever it stands', async (t) => {
  const { read, write } = files(t);
  write(
    'casync.toml',
    `[[location]]
match = "https://a.org/images/**"
timeout = 1
[[location]]
match = "https://a.org/**"
timeout = 2
attempts = 2
[[location]]
match = "**"
timeout = 3
attempts = 3
concurrency = 3
[[location]]
match = "https://a.org/**"
attempts = 4
`,
  );
  const configuration = await read('casync.toml');
  const fields = (locator: string) => configuredFields(configuration, locator, () => {});
  const images = { timeoutMs: 1000, attemptCount: 4, concurrency: 3 };
  t.deepEqual(fields('https://a.org/images/x'), images);
  t.deepEqual(fields('https://a.org/'), { ...images, timeoutMs: 2000 });
  t.deepEqual(fields('https://b.org/'), { timeoutMs: 3000, attemptCount: 3, concurrency: 3 });
});

test('the first of two files wins where both say something', async (t) => {
  const { read, write } = files(t);
  const location = (timeout: number): string =>
    `[[location]]\nmatch = "https://a.org"\ntimeout = ${timeout}\n`;
  write('own.toml', `store = "/own"\n${location(1)}`);
  write('system.toml', `store = "/system"\ncache-store = "/cache"\n${location(2)}attempts = 9\n`);
  const configuration = await read('own.toml', 'system.toml');
  t.deepEqual(configuration.defaults, { store: '/own', cacheStore: '/cache' });
  const fields = configuredFields(configuration, 'https://a.org/', () => {});
  t.deepEqual(fields, { timeoutMs: 1000, attemptCount: 9 });
});

test('ways to log in are never mixed', async (t) => {
  const { read, write } = files(t);
  write('token', 'abc\n');
  write(
    'casync.toml',
    `[[location]]
match = "https://a.org"
user = "one"
password = "${SECRET}"
attempts = 2
[[location]]
match = "https://a.org/b/**"
token-file = "token"
[[location]]
match = "https://a.org/c/**"
user = "two"
`,
  );
  const configuration = await read('casync.toml');
  const fields = (locator: string) => configuredFields(configuration, locator, () => {});
  t.deepEqual(fields('https://a.org/b/x'), { token: 'abc', attemptCount: 2 });
  t.deepEqual(fields('https://a.org/c/x'), { user: 'two', attemptCount: 2 });
});

const MISTAKES: Readonly<Record<string, string>> = {
  'a = 1': ':1: a: unknown key',
  '\n\nstore = 5': ':3: store: expected a text',
  'extra-stores = ["a", 5]': ':1: extra-stores: expected an array of texts',
  'rate-limit = "0"': ':1: rate-limit: expected a size such as 1048576 or "1M"',
  'location = 5': ':1: location: expected tables: write [[location]]',
  '[location]\nmatch = "https://a.org"': ':1: location: expected tables: write [[location]]',
  '[[location]]\nuser = "a"': ':1: location.match: expected a pattern such as',
  '[[location]]\n\nmatch = "example.org"': ':3: location.match: expected a pattern such as',
  '[[location]]\nmatch = "**"\n[[location]]\nmatch = "**"\npasswort = "canary-4711"':
    ':5: location.passwort: unknown key',
  '[[location]]\nmatch = "**"\npassword = ["canary-4711"]':
    ':3: location.password: expected a text',
  '[[location]]\nmatch = "**"\npassword = "a\\ncanary-4711"':
    ':3: location.password: expected a text',
  '[[location]]\nmatch = "**"\nattempts = 0':
    ':3: location.attempts: expected a whole number from 1 on',
  '[[location]]\nmatch = "**"\ntimeout = -1': ':3: location.timeout: expected seconds',
  '[[location]]\nmatch = "**"\n[location.headers]\n"A B" = "canary-4711"':
    ':3: location.headers: expected a table',
  '[[location]]\nmatch = "**"\ntoken = "canary-4711"\ntoken-file = "b"':
    ':4: location.token-file: the same is said twice',
  '[[location]]\nmatch = "**"\npassword = canary-4711': ':3: not valid TOML: invalid value',
  'password = "canary-4711': ':1: not valid TOML: unfinished string',
};

for (const [text, expected] of Object.entries(MISTAKES)) {
  test(`a mistake is named with its line: ${JSON.stringify(text)}`, async (t) => {
    const { folder, read, write } = files(t);
    write('casync.toml', text);
    const error = await t.throwsAsync(read('casync.toml'), { code: 'USAGE' });
    const message = error?.message ?? '';
    t.true(message.startsWith(`${join(folder, 'casync.toml')}${expected}`), message);
    t.false(message.includes(SECRET));
    t.false(message.includes('\n'));
  });
}

const JSON_MISTAKES: Readonly<Record<string, RegExp>> = {
  '{"a": 1}': /:1: a: unknown key$/,
  '{\n"location": [\n{"match": "**", "user": "x"},\n{"match": "**",\n "users": 1}]}':
    /:5: location\.users: unknown key$/,
  '{\n"location": [{"match": "**",\n "headers": {"password": "match"},\n "user": 5}]}':
    /:4: location\.user: expected a text$/,
  '{"password": "canary-4711" "b"}': /casync\.json(:1)?: not valid JSON$/,
  canary: /casync\.json(:1)?: not valid JSON$/,
  '[]': /casync\.json: expected a table of keys and values$/,
  '{"__proto__": {"store": "x"}}': /:1: __proto__: unknown key$/,
};

for (const [text, expected] of Object.entries(JSON_MISTAKES)) {
  test(`a mistake is named with its line in JSON: ${JSON.stringify(text)}`, async (t) => {
    const { read, write } = files(t);
    write('casync.json', text);
    const error = await t.throwsAsync(read('casync.json'), { code: 'USAGE' });
    t.regex(error?.message ?? '', expected);
    t.false(error?.message.includes('canary'));
  });
}

test('a file that is not there, or is no file, is an error', async (t) => {
  const { folder, read } = files(t);
  await t.throwsAsync(read('no.toml'), {
    code: 'USAGE',
    message: `${join(folder, 'no.toml')}: Failed to read: No such file or directory`,
  });
  mkdirSync(join(folder, 'folder.toml'));
  await t.throwsAsync(read('folder.toml'), { code: 'USAGE', message: /Is a directory$/ });
});

test('a file of a secret that is missing or no line of text is an error', async (t) => {
  const { folder, read, write } = files(t);
  write('casync.toml', '[[location]]\nmatch = "**"\npassword-file = "secret"\n');
  const configuration = await read('casync.toml');
  const get = () => configuredFields(configuration, 'https://a.org', () => {});
  t.throws(get, {
    message: `${join(folder, 'secret')}: Failed to read: No such file or directory`,
  });
  for (const text of ['', '\n', `a\n${SECRET}\n`]) {
    write('secret', text);
    t.throws(get, { message: `${join(folder, 'secret')}: expected one line of text` });
  }
});

test('files with secrets that others can read are complained about, others are not', async (t) => {
  const { folder, read, write, warnings } = files(t);
  for (const [name, secret] of Object.entries({
    'a.toml': 'password = "x"',
    'b.toml': 'proxy = "http://u:p@proxy"',
    'c.toml': 'headers = { A = "b" }',
    'harmless.toml': 'user = "x"',
  })) {
    chmodSync(write(name, `[[location]]\nmatch = "**"\n${secret}\n`), 0o644);
    await read(name);
  }
  t.deepEqual(
    warnings,
    ['a.toml', 'b.toml', 'c.toml'].map(
      (name) => `${join(folder, name)}: Others can read the secrets in it (chmod 600).`,
    ),
  );
});

test('nothing secret is shown', async (t) => {
  const { read, write } = files(t);
  write('casync.toml', FULL_TOML.replace('"none"', `"http://u:${SECRET}@proxy:1/"`));
  const { locations } = await read('casync.toml');
  const shown = locations.map(({ fields, files }) => shownFields(fields, files));
  t.false(JSON.stringify(shown).includes(SECRET));
  const [place] = shown.filter(({ user }) => user === 'reader');
  t.like(place, { password: '***', headers: { 'X-Key': '***' }, proxy: 'http://***@proxy:1/' });
});
