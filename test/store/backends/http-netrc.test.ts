import test from 'ava';
import { loginFromNetrc } from '../../../store/backends/http-netrc.ts';

const NETRC = `# machine host.example login no password no
machine host.example login alice password "wonder \\"land\\" #1"
machine	other.example
	password bobs
	login bob
macdef init
machine host.example login eve password evil
cd /

machine late.example account x login carol
default login anybody password anything
`;

test('finds the login of the machine, however it is written', (t) => {
  t.deepEqual(loginFromNetrc(NETRC, 'host.example'), {
    user: 'alice',
    password: 'wonder "land" #1',
  });
  t.deepEqual(loginFromNetrc(NETRC, 'OTHER.example'), { user: 'bob', password: 'bobs' });
  t.deepEqual(loginFromNetrc(NETRC.replaceAll('\n', '\r\n'), 'late.example'), {
    user: 'carol',
    password: '',
  });
});

test('gives no other machine a login', (t) => {
  for (const machine of ['example', 'xhost.example', 'host.example.evil', 'login', 'default', '']) {
    t.is(loginFromNetrc(NETRC, machine), undefined, machine);
  }
  t.is(loginFromNetrc('', 'host.example'), undefined);
  t.is(loginFromNetrc('machine', 'host.example'), undefined);
  t.is(loginFromNetrc('machine host.example', 'host.example'), undefined);
  t.is(loginFromNetrc('machine host.example login', 'host.example'), undefined);
});
