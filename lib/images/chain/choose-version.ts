/**
 * Which version words mean (spec/images.md, "Naming versions"), and which ones rules keep. Used by get,
 * diff, tag and prune.
 */
import { PipelineError } from '../../errors.ts';

/** What is needed of a version to choose it. */
export interface DatedVersion {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** The newest one. */
export const LATEST = 'latest';
const BACK = /^-(\d{1,9})$/;
const ID_BEGIN = /^[0-9a-f]{4,16}$/;
const SECONDS = /^@(\d{1,11})$/;
const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(Z?))?$/;

/** Whether a further name could be taken for something else. */
export function isAmbiguousTag(name: string): boolean {
  return name === LATEST || BACK.test(name) || ID_BEGIN.test(name) || DATE.test(name);
}

/**
 * @param word `latest`, `-N`, a further name, a date or the beginning of an id
 * @param versions the oldest first
 * @throws PipelineError `INDEX_MISSING` if no version is meant, `USAGE` if several are
 */
export function chooseVersion<Version extends DatedVersion>(
  word: string,
  versions: readonly Version[],
  tags: ReadonlyMap<string, string>,
): Version {
  const tagged = tags.get(word);
  const chosen =
    tagged === undefined ? byWord(word, versions) : versions.find(({ id }) => id === tagged);
  if (chosen !== undefined) return chosen;
  const reason = versions.length === 0 ? 'the chain has no version' : 'no version is meant by that';
  throw new PipelineError('INDEX_MISSING', { subject: word, reason: `${reason}; see "log"` });
}

function byWord<Version extends DatedVersion>(
  word: string,
  versions: readonly Version[],
): Version | undefined {
  if (word === LATEST) return versions.at(-1);
  const back = BACK.exec(word)?.[1];
  if (back !== undefined) return versions.at(-1 - Number(back));
  const moment = momentOf(word);
  if (moment !== undefined) return versions.findLast(({ time }) => time <= moment);
  if (!ID_BEGIN.test(word)) return undefined;
  const [first, second] = versions.filter(({ id }) => id.startsWith(word));
  if (second === undefined) return first;
  const reason = `several versions begin with that: ${first.id}, ${second.id}`;
  throw new PipelineError('USAGE', { subject: word, reason });
}

/** The last millisecond that a date means. @returns undefined for what is no date */
function momentOf(word: string): number | undefined {
  const seconds = SECONDS.exec(word)?.[1];
  if (seconds !== undefined) return Number(seconds) * 1000 + 999;
  const match = DATE.exec(word);
  if (match === null) return undefined;
  const [year, month, day] = match.slice(1, 4).map(Number);
  const [hour, minute, second] = match.slice(4, 7);
  const parts = [
    hour === undefined ? 23 : Number(hour),
    hour === undefined ? 59 : Number(minute),
    second === undefined ? 59 : Number(second),
    999,
  ] as const;
  const isUtc = match[7] === 'Z';
  const date = new Date(0);
  if (isUtc) date.setTime(Date.UTC(year, month - 1, day, ...parts));
  else date.setTime(new Date(year, month - 1, day, ...parts).getTime());
  const shownDay = isUtc ? date.getUTCDate() : date.getDate();
  return shownDay === day && parts[0] < 24 && parts[1] < 60 ? date.getTime() : undefined;
}

/** How many versions each rule keeps. */
export interface KeepRules {
  readonly last?: number;
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
}

/** The period that a time lies in, by rule, in local time. */
const PERIODS: Readonly<Record<Exclude<keyof KeepRules, 'last'>, (date: Date) => string>> = {
  hourly: (date) => `${dayOf(date)} ${date.getHours()}`,
  daily: dayOf,
  weekly: (date) => {
    const monday = new Date(date.getFullYear(), date.getMonth(), date.getDate());
    monday.setDate(monday.getDate() - ((monday.getDay() + 6) % 7));
    return dayOf(monday);
  },
  monthly: (date) => `${date.getFullYear()}-${date.getMonth()}`,
  yearly: (date) => `${date.getFullYear()}`,
};

function dayOf(date: Date): string {
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}

/**
 * The versions that rules keep: of each period the newest one, of as many periods as the rule says that
 * have any.
 * @param versions the oldest first
 */
export function keptVersions(
  versions: readonly DatedVersion[],
  rules: KeepRules,
): ReadonlySet<string> {
  const kept = new Set<string>();
  const newestFirst = versions.toReversed();
  for (const { id } of newestFirst.slice(0, rules.last ?? 0)) kept.add(id);
  for (const [rule, periodOf] of Object.entries(PERIODS)) {
    const wanted = rules[rule as keyof typeof PERIODS] ?? 0;
    const periods = new Set<string>();
    for (const { id, time } of newestFirst) {
      const period = periodOf(new Date(time));
      if (periods.has(period) || periods.size >= wanted) continue;
      periods.add(period);
      kept.add(id);
    }
  }
  return kept;
}
