/** A server of files in this process, which a test can make wait or fail. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

export interface HeldServer {
  readonly url: string;
  /** Paths and ranges of all GET requests so far. */
  readonly requests: readonly string[];
  /** Answers wait until {@link letGo}. */
  hold(): void;
  letGo(): void;
  /** Answers are 404 until {@link mend}. */
  fail(): void;
  mend(): void;
}

/** Serves the files of a folder; ends with the test. */
export async function startHeldServer(t: ExecutionContext, folder: string): Promise<HeldServer> {
  const requests: string[] = [];
  const held = new Set<() => void>();
  let isHolding = false;
  let isFailing = false;
  const server = createServer((request, response) => {
    if (request.method === 'GET') requests.push(`${request.url} ${request.headers.range ?? ''}`);
    const give = (): void => {
      if (isFailing) response.writeHead(404).end();
      else answer(folder, request, response);
    };
    if (isHolding) held.add(give);
    else give();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    hold: () => {
      isHolding = true;
    },
    letGo() {
      isHolding = false;
      for (const give of held) give();
      held.clear();
    },
    fail: () => {
      isFailing = true;
    },
    mend: () => {
      isFailing = false;
    },
  };
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const path = join(folder, new URL(request.url ?? '', 'http://x').pathname);
  if (!existsSync(path)) {
    response.writeHead(404).end();
    return;
  }
  const bytes = readFileSync(path);
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [start, end] = match ? [Number(match[1]), Number(match[2]) + 1] : [0, bytes.length];
  const part = bytes.subarray(start, end);
  response.writeHead(match ? 206 : 200, {
    'Accept-Ranges': 'bytes',
    'Content-Length': part.length,
    ...(match && { 'Content-Range': `bytes ${start}-${start + part.length - 1}/${bytes.length}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : part);
}
