import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { classifyLocator } from '../../../store/location.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import {
  type Command,
  casyncOverSsh,
  hasOwnHelper,
  helperCommand,
  type PeerWords,
} from '../../../store/peer/ssh-command.node.ts';
import { writeScript } from '../../helpers/fake-ssh.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const SETTINGS: LocationSettings = { environment: {} };
const PULL: PeerWords = { verb: 'pull', index: 'a/b.caidx', stores: ['s.castr'] };

/** What the program gets, one word after the other. */
function run({ program, words }: Command): readonly string[] {
  return execFileSync(program, words, { encoding: 'utf8' }).split('\0').slice(0, -1);
}

test('the words are those of casync', (t) => {
  t.deepEqual(casyncOverSsh('user@host', PULL, { settings: SETTINGS }), {
    program: 'ssh',
    words: ['user@host', 'casync', 'pull', '-', '-', 'a/b.caidx', 's.castr'],
  });
  t.deepEqual(casyncOverSsh('host', { verb: 'push', archive: 'x.catar' }, { settings: SETTINGS }), {
    program: 'ssh',
    words: ['host', 'casync', 'push', '-', 'x.catar', '-', '-'],
  });
});

test('programs, rate limit and log level come from settings and environment', (t) => {
  const environment = { CASYNC_SSH_PATH: '/x/my ssh', CASYNC_REMOTE_PATH: '/opt/casync' };
  const { program, words } = casyncOverSsh('host', PULL, {
    settings: { environment, rateLimit: 1000.5, logLevel: 7 },
  });
  t.is(program, '/x/my ssh');
  t.deepEqual(words.slice(1, 5), ['/opt/casync', '--log-level=7', '--rate-limit-bps=1001', 'pull']);
  const settings = { environment, sshProgram: 'other', remoteProgram: 'casync3' };
  const chosen = casyncOverSsh('host', PULL, { settings });
  t.deepEqual([chosen.program, chosen.words[1]], ['other', 'casync3']);
});

test('hosts and programs that ssh would take for options are refused', (t) => {
  for (const host of ['-v', '-oX', '-x@host', 'user@-host', 'a b', '', '$(x)', 'a;b']) {
    t.throws(() => casyncOverSsh(host, PULL, { settings: SETTINGS }), { code: 'USAGE' }, host);
  }
  const settings = { ...SETTINGS, remoteProgram: '-oProxyCommand=x' };
  t.throws(() => casyncOverSsh('host', PULL, { settings }), { code: 'USAGE' });
});

test('every host that a locator can name is either refused or the first word', (t) => {
  const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,8}$/);
  const word = fc.oneof(
    name,
    fc.tuple(name, name).map(([user, host]) => `${user}@${host}`),
  );
  fc.assert(
    fc.property(word, (host) => {
      const locator = classifyLocator(`${host}:x`);
      if (locator.kind !== 'ssh') return;
      const hasOption = /(?:^|@)-/.test(locator.host);
      const make = () => casyncOverSsh(locator.host, PULL, { settings: SETTINGS });
      if (hasOption) t.throws(make, { code: 'USAGE' });
      else t.is(make().words[0], host);
    }),
  );
});

test('a zero byte is refused, and so is no path at all', (t) => {
  for (const index of ['a\0b', '']) {
    const words: PeerWords = { verb: 'pull', index };
    t.throws(() => casyncOverSsh('host', words, { settings: SETTINGS }), { code: 'USAGE' });
  }
});

test('paths that are options, absent words or other places there are written as paths', (t) => {
  const paths = ['-', '--help', '-x/y', 'a:b', 'http://h/x', '~a:b', 'C:x'];
  for (const path of paths) {
    const { words } = casyncOverSsh('host', { verb: 'pull', index: path }, { settings: SETTINGS });
    const word = words[5].replace(/^'(.*)'$/, '$1');
    t.is(word, `./${path}`);
    t.is(classifyLocator(word).kind, 'path');
  }
  for (const path of ['/a:b', './a:b', 'x/a:b', '~/a:b', '~me/a:b']) {
    const { words } = casyncOverSsh('host', { verb: 'pull', index: path }, { settings: SETTINGS });
    t.is(words[5], path);
  }
});

/** Anything that a command line can hold. */
const path = fc
  .oneof(
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    fc.string({ unit: fc.constantFrom(...'\'"\\$`!*?[]{}()<>|&;#~= \t\na-'), minLength: 1 }),
  )
  .filter((text) => !text.includes('\0') && !/^~[\w.-]*(?:\/|$)/.test(text));

for (const shell of ['sh', 'bash', 'dash']) {
  test(`${shell} as the shell there, joined words: the program gets the paths as they are`, (t) => {
    const folder = temporaryFolder(t);
    // What sshd does: all words but the host, joined, read by the user's shell.
    const joined = [`shift; exec ${shell} -c "$*"`];
    const sshProgram = writeScript(folder, 'ssh', joined);
    mkdirSync(join(folder, "a b'c"));
    const program = writeScript(join(folder, "a b'c"), 'print $x', ['printf \'%s\\0\' "$@"']);
    const settings = { ...SETTINGS, sshProgram, remoteProgram: program };
    fc.assert(
      fc.property(fc.array(path, { minLength: 3, maxLength: 12 }), ([archive, index, ...rest]) => {
        const words: PeerWords = { verb: 'push', archive, index, stores: rest };
        const got = run(casyncOverSsh('host', words, { settings }));
        const plain = (word: string) => (/^-|^[^/]*:/.test(word) ? `./${word}` : word);
        t.deepEqual(got, ['push', '-', ...[archive, index, ...rest].map(plain)]);
      }),
      { numRuns: 60 },
    );
  });
}

test('without a shell in between, words that need no quotes arrive as they are', (t) => {
  const folder = temporaryFolder(t);
  const sshProgram = writeScript(folder, 'ssh', ['printf \'%s\\0\' "$@"']);
  const words: PeerWords = { verb: 'pull', index: '/srv/x-1_2.caidx', stores: ['a,b=c+d@e'] };
  const got = run(casyncOverSsh('u@h', words, { settings: { ...SETTINGS, sshProgram } }));
  t.deepEqual(got, ['u@h', 'casync', 'pull', '-', '-', '/srv/x-1_2.caidx', 'a,b=c+d@e']);
});

test('home folders are left to the shell there', (t) => {
  const folder = temporaryFolder(t);
  const sshProgram = writeScript(folder, 'ssh', ['shift; exec sh -c "$*"']);
  const program = writeScript(folder, 'print', ['printf \'%s\\0\' "$@"']);
  const settings = { ...SETTINGS, sshProgram, remoteProgram: program };
  const words: PeerWords = { verb: 'pull', index: "~/a b';x", stores: ['~root/s'] };
  const got = run(casyncOverSsh('h', words, { settings }));
  t.is(got[3], `${homedir()}/a b';x`);
  t.regex(got[4], /^\/.*\/s$/);
});

test('helpers get whole URLs', (t) => {
  const environment = { CASYNC_PROTOCOL_PATH: '/opt/helpers' };
  const index = 'http://h/x.caidx?a=b;c';
  const settings = { environment, rateLimit: 5 };
  const words: PeerWords = { verb: 'pull', index, stores: ['http://h/s'] };
  t.deepEqual(helperCommand('http', words, { settings }), {
    program: '/opt/helpers/casync-http',
    words: ['--rate-limit-bps=5', 'pull', '-', '-', index, 'http://h/s'],
  });
  const { program } = helperCommand('sftp', words, { settings: SETTINGS });
  t.is(program, '/usr/lib/casync/protocols/casync-sftp');
});

test('a helper is the own one only in a folder that was named', (t) => {
  const folder = temporaryFolder(t);
  writeScript(folder, 'casync-foo', []);
  const settings = { environment: { CASYNC_PROTOCOL_PATH: folder } };
  t.true(hasOwnHelper('foo', settings));
  t.false(hasOwnHelper('bar', settings));
  t.false(hasOwnHelper('http', SETTINGS));
});
