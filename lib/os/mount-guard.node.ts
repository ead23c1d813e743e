/**
 * A small process that outlives ours, however ours ends, and takes the mount away that ours leaves:
 * a FUSE mount without its server answers everybody with `Transport endpoint is not connected`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { MountIdentity } from './mount-table.node.ts';

/**
 * Reads number and device of the mount, then waits for the end of its input. A line before the end
 * says that nothing is left to do. The mount is looked up by number, because its path may have
 * changed, and left alone if another one lies above it. mountinfo writes odd bytes as printf does.
 */
const SCRIPT = `
trap '' HUP INT TERM QUIT
read -r id device || exit 0
read -r done && exit 0
point=
while read -r number parent at root path rest; do
  if [ "$number $at" = "$id $device" ]; then point=$path
  elif [ "$path" = "$point" ]; then point=; fi
done </proc/self/mountinfo
[ -n "$point" ] || exit 0
format=
while :; do case $point in
  *%*) format=$format\${point%%\\%*}%%; point=\${point#*%} ;;
  *) break ;;
esac; done
point=$(printf "$format$point"; echo .)
point=\${point%.}
umount -l -- "$point" || fusermount3 -u -z -- "$point" || fusermount -u -z -- "$point"
`;

/** For a guard that is dismissed to end. */
const LONGEST_END_MS = 1000;

export interface MountGuard {
  /** From now on it unmounts when this process ends. */
  watch(mount: MountIdentity): void;
  /** Nothing is left to unmount. Resolves when the guard has ended. */
  dismiss(): Promise<void>;
}

/**
 * Starts a guard. It keeps neither folders nor outputs of this process open and hears no signals
 * of its terminal. Where it cannot be started there is none, and nothing else changes.
 */
export function startMountGuard(): MountGuard {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'casync-mount-guard'], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = endOf(child);
  child.unref();
  child.stdin.on('error', () => {});
  return {
    watch: ({ id, device }) => void child.stdin.write(`${id} ${device}\n`),
    async dismiss() {
      child.ref();
      child.stdin.end('done\n');
      const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_END_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.on('error', () => resolve());
    child.on('close', () => resolve());
  });
}
