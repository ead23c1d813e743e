/**
 * Process of a test: mounts the toy file system at the folder that is its argument and serves it. Lines
 * on its output: READY; FAILURE and the message; COUNTS when asked with SIGUSR1, and END, as JSON.
 */
import { register } from 'tsx/esm/api';

register();
const { mountFuse } = await import('../../lib/os/mount.node.ts');
const { serveFuse } = await import('../../lib/serve/fuse/serve-fuse.node.ts');
const { createToyFileSystem } = await import('./toy-file-system.ts');

const [, , folder, readAheadKib] = process.argv;
const fileSystem = createToyFileSystem(100_000);
const mount = await mountFuse(folder, { source: 'toy', makeFolder: false });
const server = serveFuse(mount.descriptor, fileSystem, {
  onFailure: (error) => console.log(`FAILURE ${error}`),
});
await server.started;
if (readAheadKib !== undefined) mount.raiseReadAhead(Number(readAheadKib));
const begun = process.cpuUsage();
console.log('READY');
process.on('SIGTERM', () => {
  server.close();
  mount.unmount();
});
process.on('SIGUSR1', () => console.log(`COUNTS ${JSON.stringify(fileSystem.counts)}`));
const end = await server.ended;
await new Promise((resolve) => setImmediate(resolve));
const cpu = process.cpuUsage(begun);
console.log(
  `END ${JSON.stringify({ end, ...fileSystem.counts, user: cpu.user, system: cpu.system })}`,
);
mount.unmount();
