/** Sockets that a service manager has opened for us: LISTEN_FDS and LISTEN_PID, as systemd sets them. */

const FIRST_DESCRIPTOR = 3;
const MOST_DESCRIPTORS = 64;

/** Descriptors on which the process `ours` shall listen; none if the variables are not meant for it. */
export function activatedDescriptors(
  environment: Readonly<Record<string, string | undefined>>,
  ours: number,
): readonly number[] {
  const { LISTEN_FDS: count = '', LISTEN_PID: pid = '' } = environment;
  if (pid !== String(ours) || !/^\d+$/.test(count)) return [];
  const length = Math.min(Number(count), MOST_DESCRIPTORS);
  return Array.from({ length }, (_, i) => FIRST_DESCRIPTOR + i);
}
