/** Failures of a server that goes on, told to its user: not each of a flood of them. Used by mounts and block devices. */

export interface FailureReportOptions {
  readonly tell: (error: unknown) => void;
  /** Time in milliseconds, of a clock that never goes back; this process's if left out. */
  readonly now?: () => number;
}

/** Within this time each message is told once, and only so many messages. */
const PERIOD_MS = 60_000;
const MOST_IN_PERIOD = 20;

/** @returns what is told of every failure */
export function createFailureReports({
  tell,
  now = () => performance.now(),
}: FailureReportOptions): (error: unknown) => void {
  const told = new Set<string>();
  let periodEnd = Number.NEGATIVE_INFINITY;
  return (error) => {
    const time = now();
    if (time >= periodEnd) {
      told.clear();
      periodEnd = time + PERIOD_MS;
    }
    const message = String(error);
    if (told.size >= MOST_IN_PERIOD || told.has(message)) return;
    told.add(message);
    tell(error);
  };
}
