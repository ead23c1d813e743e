/**
 * How many requests may be under way at a time: found out by trying, from what is seen of the answers.
 * Pure; time is given to it. Used by limit.ts (spec/remote.md, "Wrappers").
 *
 * More under way is worth it as long as more gets done in the same time. So the limit is raised for a
 * trial, and stays raised only if the rate of answers rises with it; a trial that fails is undone, and
 * the next one comes later each time. A server that refuses has its load halved.
 */

export interface ConcurrencyOptions {
  /** Requests; never more. */
  readonly ceiling: number;
  /** Requests, in the beginning. */
  readonly start: number;
}

/** How a request ended. */
export type RequestOutcome =
  /** It was answered, also by an error that is the request's own. */
  | 'answered'
  /** The server said that it has too much to do. */
  | 'refused'
  /** The connection failed. */
  | 'lost';

export interface FinishedRequest {
  readonly startedAtMs: number;
  readonly outcome: RequestOutcome;
}

/** A first trial doubles the limit, for as long as that goes well; later ones are careful. */
const FAST_GROWTH = 2;
const CAREFUL_GROWTH = 1.25;
/** Below this many requests under way, growth is always fast. */
const FEW = 16;
/** The part of the added requests that must show as added rate. */
const FAST_YIELD = 0.3;
const CAREFUL_YIELD = 0.35;
/** Waiting of this length is no queue: floors are measured roughly. */
const LATENCY_SLACK_MS = 5;
const LATENCY_FACTOR = 3;
/** A longer queue than this is accepted only for an increase that leaves no doubt. */
const SURE_YIELD = 0.6;
const SHORTEST_ROUND_MS = 25;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 30_000;
/** Parts of the requests of a round. */
const MOST_REFUSED = 0.02;
const MOST_LOST = 0.1;
/** A floor that has not been seen for so long may be another one now. */
const FLOOR_AGE_MS = 30_000;

interface Round {
  /** Requests that began earlier belong to another limit. */
  readonly fromMs: number;
  /** When its first answer came, from which on it is measured. */
  measuredFromMs: number | undefined;
  count: number;
  refused: number;
  lost: number;
  latencySumMs: number;
  /** Whether as many were under way as may be. */
  wasFull: boolean;
}

/** A limit that was raised to see what comes of it. */
interface Trial {
  readonly limitBefore: number;
  readonly rateBefore: number;
}

export class Concurrency {
  readonly #ceiling: number;
  #limit: number;
  #round: Round;
  #trial: Trial | undefined;
  #growth = FAST_GROWTH;
  #restMs = FIRST_REST_MS;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #floorMs = Number.POSITIVE_INFINITY;
  #floorSeenAtMs = 0;

  constructor({ ceiling, start }: ConcurrencyOptions) {
    this.#ceiling = Math.max(1, Math.floor(ceiling));
    this.#limit = Math.max(1, Math.min(this.#ceiling, Math.floor(start)));
    this.#round = newRound(Number.NEGATIVE_INFINITY);
  }

  /** Requests that may be under way now. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Told of every request that has ended.
   * @param underWay requests before this one ended, this one included
   */
  finished({ startedAtMs, outcome }: FinishedRequest, underWay: number, nowMs: number): void {
    const round = this.#round;
    if (startedAtMs < round.fromMs) return;
    const latencyMs = nowMs - startedAtMs;
    if (outcome === 'answered') this.#noticeFloor(latencyMs, nowMs);
    if (underWay >= this.#limit) round.wasFull = true;
    if (outcome === 'refused') round.refused++;
    if (outcome === 'lost') round.lost++;
    if (round.measuredFromMs === undefined) {
      // It only starts the clock: what is counted comes in the time that follows.
      round.measuredFromMs = nowMs;
      if (outcome === 'answered') return;
    }
    round.count++;
    round.latencySumMs += latencyMs;
    if (this.#isTooMuch(round)) this.#retreat(nowMs);
    else if (this.#isOver(round, nowMs)) this.#decide(round, nowMs);
  }

  #noticeFloor(latencyMs: number, nowMs: number): void {
    const isOld = nowMs - this.#floorSeenAtMs > FLOOR_AGE_MS;
    if (latencyMs > this.#floorMs && !isOld) return;
    this.#floorMs = latencyMs;
    this.#floorSeenAtMs = nowMs;
  }

  /** One failure among few requests says nothing. */
  #isTooMuch({ refused, lost, count }: Round): boolean {
    const total = Math.max(count, Math.min(this.#limit, 50));
    return refused > MOST_REFUSED * total || lost > MOST_LOST * total;
  }

  #retreat(nowMs: number): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    // A server that was away shall not be left alone for long when it is back.
    this.#restMs = FIRST_REST_MS;
    this.#rest(nowMs);
  }

  /** Long enough that it does not matter whether answers come in bursts. */
  #isOver({ count, latencySumMs, measuredFromMs = 0 }: Round, nowMs: number): boolean {
    if (count < this.#limit) return false;
    return nowMs - measuredFromMs >= Math.max(SHORTEST_ROUND_MS, (2 * latencySumMs) / count);
  }

  #decide(round: Round, nowMs: number): void {
    const { count, latencySumMs, measuredFromMs = nowMs, wasFull } = round;
    const rate = count / Math.max(1, nowMs - measuredFromMs);
    const isQuick = latencySumMs / count <= LATENCY_FACTOR * this.#floorMs + LATENCY_SLACK_MS;
    // Where nobody wants more, nothing can be learned.
    if (!wasFull) this.#begin(nowMs);
    else if (this.#trial === undefined) this.#try(rate, isQuick, nowMs);
    else this.#judge(this.#trial, rate, isQuick, nowMs);
  }

  #judge({ limitBefore, rateBefore }: Trial, rate: number, isQuick: boolean, nowMs: number): void {
    const added = this.#limit / limitBefore - 1;
    const yielded = (rate / rateBefore - 1) / added;
    const wanted = this.#growth === FAST_GROWTH ? FAST_YIELD : CAREFUL_YIELD;
    if (yielded >= (isQuick ? wanted : SURE_YIELD)) {
      this.#restMs = FIRST_REST_MS;
      this.#try(rate, isQuick, nowMs);
      return;
    }
    this.#limit = limitBefore;
    this.#rest(nowMs);
  }

  #try(rate: number, isQuick: boolean, nowMs: number): void {
    const limitBefore = this.#limit;
    const growth = limitBefore < FEW ? FAST_GROWTH : this.#growth;
    const raised = Math.min(this.#ceiling, Math.ceil(limitBefore * growth));
    const mayTry = raised > limitBefore && nowMs >= this.#restUntilMs;
    // A queue that is there already only grows; trials during rests would never end.
    if (mayTry && (isQuick || this.#growth !== FAST_GROWTH)) {
      this.#limit = raised;
      this.#trial = { limitBefore, rateBefore: rate };
    } else {
      this.#growth = CAREFUL_GROWTH;
      this.#trial = undefined;
    }
    this.#begin(nowMs);
  }

  /** Leaves the limit alone for a while, a longer one each time. */
  #rest(nowMs: number): void {
    this.#trial = undefined;
    this.#growth = CAREFUL_GROWTH;
    this.#restUntilMs = nowMs + this.#restMs;
    this.#restMs = Math.min(LONGEST_REST_MS, this.#restMs * 2);
    this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#round = newRound(nowMs);
  }
}

function newRound(fromMs: number): Round {
  return {
    fromMs,
    measuredFromMs: undefined,
    count: 0,
    refused: 0,
    lost: 0,
    latencySumMs: 0,
    wasFull: false,
  };
}
