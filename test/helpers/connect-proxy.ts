/** An HTTP proxy for tests: passes requests on and makes tunnels, with a password if one is wanted. */
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import type { ExecutionContext } from 'ava';

export interface ConnectProxy {
  readonly port: number;
  /** `CONNECT host:port` and `GET http://host/path`, as they came. */
  readonly requests: readonly string[];
}

/** The proxy ends with the test. @param authorization value that Proxy-Authorization must have */
export async function startConnectProxy(
  t: ExecutionContext,
  authorization?: string,
): Promise<ConnectProxy> {
  const requests: string[] = [];
  const sockets = new Set<net.Socket>();
  const mayPass = (request: http.IncomingMessage): boolean => {
    requests.push(`${request.method} ${request.url}`);
    return request.headers['proxy-authorization'] === authorization;
  };
  const server = http.createServer((request, response) => {
    if (!mayPass(request)) return void response.writeHead(407).end();
    const { method, headers } = request;
    delete headers['proxy-authorization'];
    const onwards = http.request(request.url ?? '', { method, headers, agent: false });
    onwards.on('error', () => response.writeHead(502).end());
    onwards.on('response', (incoming) => {
      response.writeHead(incoming.statusCode ?? 502, incoming.rawHeaders);
      incoming.pipe(response);
    });
    request.pipe(onwards);
  });
  server.on('connect', (request: http.IncomingMessage, client: net.Socket) => {
    if (!mayPass(request)) return void client.end('HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n');
    const { hostname, port } = new URL(`http://${request.url}`);
    const onwards = net.connect(Number(port || 80), hostname);
    for (const socket of [client, onwards]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    onwards.on('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(onwards).pipe(client);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return { port: address.port, requests };
}
