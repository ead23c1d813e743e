import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import test from 'ava';
import { requirement } from './requirements.ts';
import { SSH_NEEDS, startSshServer } from './sshd.ts';

test('the ssh server lets us in by any name, and goes with all it has made', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const server = await startSshServer({ environment: { GREETING: 'a b' } });
  t.teardown(() => server.stop());
  const said = execFileSync(server.sshProgram, ['any-name', 'echo "$GREETING"; id -un; ls -A ~'], {
    encoding: 'utf8',
  });
  t.is(said, `a b\n${server.user}\n`, 'the home is empty: no start-up file of a shell is read');
  await server.stop();
  t.false(existsSync(server.folder));
  t.is(spawnSync('kill', ['-0', String(server.process.pid)]).status, 1);
});
