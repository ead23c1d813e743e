/** One request on a connection: given to the handler, answered, counted and logged. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { accessLine } from './access-line.ts';
import type { AccessLog } from './access-log.node.ts';
import { type Answer, textAnswer } from './answer.ts';
import { hasBody, readBody, sendFile } from './body.node.ts';
import type { Connections } from './connections.node.ts';
import type { Handler } from './handler.ts';
import type { ServeLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { ServedRequest } from './served-request.ts';

export interface ExchangeOptions {
  readonly handler: Handler;
  readonly limits: ServeLimits;
  readonly metrics: Metrics;
  readonly connections: Connections;
  readonly accessLog?: AccessLog;
  /** Told of mistakes of ours. */
  readonly onFailure?: (error: unknown) => void;
}

/** What is left of a refused upload is taken to its end if it is so small; else the line is cut. */
const DRAINED_BYTES = 1024 * 1024;
const CLOSE = ['Connection', 'close'];
const RETRY_SECONDS = '1';

/** @param isExpected whether the client waits to be told that it may send the body */
export function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  isExpected: boolean,
  options: ExchangeOptions,
): void {
  new Exchange(request, response, isExpected, options).run();
}

class Exchange implements ServedRequest {
  readonly method: string;
  readonly target: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: ExchangeOptions;
  readonly #startedAt = performance.now();
  #isExpected: boolean;
  #controller: AbortController | undefined;
  #answer: Answer | undefined;
  #bytesSent = 0;
  #bytesReceived = 0;
  #isComplete = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    isExpected: boolean,
    options: ExchangeOptions,
  ) {
    this.#request = request;
    this.#response = response;
    this.#isExpected = isExpected;
    this.#options = options;
    this.method = request.method ?? '';
    this.target = request.url ?? '';
  }

  readonly header = (name: string): string | undefined => {
    const value = this.#request.headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  };

  readonly signal = (): AbortSignal => {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#response.destroyed) this.#controller.abort();
    }
    return this.#controller.signal;
  };

  readonly readBody = async (limit: number): Promise<Uint8Array> => {
    if (this.#isExpected) this.#response.writeContinue();
    this.#isExpected = false;
    const bytes = await readBody(this.#request, limit);
    this.#bytesReceived = bytes.length;
    return bytes;
  };

  run(): void {
    const { metrics, connections } = this.#options;
    const { socket } = this.#request;
    metrics.begin();
    connections.begin(socket, this.#response);
    // Comes only when the last byte was handed to the system, or can never be.
    this.#response.once('finish', () => {
      this.#isComplete = true;
    });
    this.#response.once('close', () => {
      this.#controller?.abort();
      connections.end(socket, this.#response);
      this.#finish();
    });
    try {
      const answer = this.#refusal() ?? this.#options.handler(this);
      if (answer instanceof Promise) answer.then(this.#send, this.#fail).catch(this.#fail);
      else this.#send(answer);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What the handler is not asked about. */
  #refusal(): Answer | undefined {
    const { limits, connections } = this.#options;
    const kind = 'none';
    if (connections.isTooMuch(this.#request.socket)) {
      const headers = [...CLOSE, 'Retry-After', RETRY_SECONDS];
      return textAnswer(503, { kind, text: 'Too many connections.\n', headers });
    }
    if (this.#request.rawHeaders.length > 2 * limits.maxHeaderCount) {
      return textAnswer(431, { kind, text: 'Too many headers.\n', headers: CLOSE });
    }
    // Nobody needs one, and what stands before us may disagree where the next request begins.
    if (this.method !== 'PUT' && hasBody(this.#request)) {
      return textAnswer(400, { kind, text: 'No body is expected.\n', headers: CLOSE });
    }
    return undefined;
  }

  readonly #send = (answer: Answer): void => {
    const { body } = answer;
    this.#answer = answer;
    if (this.#response.destroyed) {
      if (body !== undefined && 'file' in body) body.file.close();
      return;
    }
    const mustClose = this.#options.connections.isClosing || this.#isBodyLeft();
    const headers = mustClose ? [...answer.headers, ...CLOSE] : answer.headers;
    this.#response.writeHead(answer.status, headers as string[]);
    if (body === undefined) {
      this.#response.end();
    } else if ('file' in body) {
      sendFile(this.#response, body).then((length) => {
        this.#bytesSent = length;
      }, this.#fail);
    } else {
      this.#bytesSent = body.length;
      this.#response.end(body);
    }
  };

  /** Whether a body that nobody reads stands between this request and the next one. */
  #isBodyLeft(): boolean {
    if (this.#request.complete || this.method !== 'PUT') return false;
    const length = Number(this.#request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    return this.#isExpected || !(length <= DRAINED_BYTES);
  }

  readonly #fail = (error: unknown): void => {
    this.#options.onFailure?.(error);
    if (this.#response.headersSent) this.#response.destroy();
    else this.#send(textAnswer(500, { kind: 'none', text: 'The server failed.\n' }));
  };

  #finish(): void {
    const { metrics, accessLog } = this.#options;
    const { method, target } = this;
    const isComplete = this.#isComplete;
    // The status that others use for a client who has gone.
    const status = this.#answer?.status ?? 499;
    const { kind = 'none', refusal } = this.#answer ?? {};
    if (isComplete) this.#answer?.recycle?.();
    const bytesSent = this.#bytesSent;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const bytesReceived = this.#bytesReceived;
    metrics.end({ method, kind, status, seconds, bytesSent, bytesReceived, refusal });
    if (accessLog === undefined) return;
    const address = this.#request.socket.remoteAddress ?? '';
    const time = new Date();
    const line = { time, address, method, target, status, bytesSent, seconds, isComplete };
    accessLog.write(accessLine(line));
  }
}
