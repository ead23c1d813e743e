/**
 * Counts of the server as text for Prometheus (spec/remote.md, "Metrics"). Labels are taken from fixed
 * lists only: no name, address or credential ever becomes one.
 */
import type { Answer } from './answer.ts';

const METHODS = ['GET', 'HEAD', 'PUT'] as const;
/** Upper bounds in seconds. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
const PREFIX = 'casync_serve_';

export interface FinishedRequest {
  readonly method: string;
  readonly kind: Answer['kind'];
  readonly status: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly seconds: number;
  readonly refusal?: string | undefined;
}

/** Numbers that somebody else keeps. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly value: () => number;
}

export class Metrics {
  readonly #gauges: readonly Gauge[];
  readonly #requests = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  readonly #clientErrors = new Map<string, number>();
  readonly #durations: number[] = new Array<number>(BUCKETS.length + 1).fill(0);
  #seconds = 0;
  #sent = 0;
  #received = 0;
  #inFlight = 0;
  #refusedConnections = 0;

  constructor(gauges: readonly Gauge[] = []) {
    this.#gauges = gauges;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  begin(): void {
    this.#inFlight++;
  }

  end(request: FinishedRequest): void {
    const { method, kind, status, seconds, refusal } = request;
    this.#inFlight--;
    const name = METHODS.find((known) => known === method) ?? 'other';
    const statusClass = `${Math.floor(status / 100)}xx`;
    increment(this.#requests, `method="${name}",class="${statusClass}",kind="${kind}"`);
    if (refusal !== undefined) increment(this.#refusals, `reason="${refusal}"`);
    const found = BUCKETS.findIndex((bound) => seconds <= bound);
    this.#durations[found < 0 ? BUCKETS.length : found]++;
    this.#seconds += seconds;
    this.#sent += request.bytesSent;
    this.#received += request.bytesReceived;
  }

  /** What was no request at all. @param status the answer's */
  clientError(status: number): void {
    increment(this.#clientErrors, `status="${status}"`);
  }

  refusedConnection(): void {
    this.#refusedConnections++;
  }

  /** In the text format, version 0.0.4. */
  text(): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string): string => {
      lines.push(`# HELP ${PREFIX}${name} ${help}`, `# TYPE ${PREFIX}${name} ${type}`);
      return PREFIX + name;
    };
    const one = (name: string, type: string, help: string, value: number): void => {
      lines.push(`${family(name, type, help)} ${value}`);
    };
    const labelled = (name: string, help: string, values: ReadonlyMap<string, number>): void => {
      const full = family(name, 'counter', help);
      for (const [labels, value] of values) lines.push(`${full}{${labels}} ${value}`);
    };
    labelled('requests_total', 'Requests that were answered.', this.#requests);
    labelled('uploads_refused_total', 'Uploads that were refused, by reason.', this.#refusals);
    labelled('client_errors_total', 'What was no good request.', this.#clientErrors);
    one(
      'refused_connections_total',
      'counter',
      'Connections above the limit.',
      this.#refusedConnections,
    );
    one('sent_bytes_total', 'counter', 'Bytes of bodies that were sent.', this.#sent);
    one('received_bytes_total', 'counter', 'Bytes of bodies that came in.', this.#received);
    one('requests_in_flight', 'gauge', 'Requests under way.', this.#inFlight);
    for (const { name, help, type, value } of this.#gauges) one(name, type, help, value());
    this.#addDurations(
      lines,
      family('request_duration_seconds', 'histogram', 'From headers to end.'),
    );
    return `${lines.join('\n')}\n`;
  }

  #addDurations(lines: string[], name: string): void {
    let sum = 0;
    this.#durations.forEach((count, i) => {
      sum += count;
      lines.push(`${name}_bucket{le="${BUCKETS[i] ?? '+Inf'}"} ${sum}`);
    });
    lines.push(`${name}_sum ${this.#seconds}`, `${name}_count ${sum}`);
  }
}

function increment(counts: Map<string, number>, labels: string): void {
  counts.set(labels, (counts.get(labels) ?? 0) + 1);
}
