/** `serve PLACE` (spec/remote.md, "The server"): chunks and indexes over HTTP until a signal comes. */
import { readFileSync } from 'node:fs';
import { isCasError } from '../../formats/errors.ts';
import {
  type ServeOptions,
  type ServeResult,
  serve as serveOverHttp,
} from '../../lib/api/serve.node.ts';
import { notify } from '../../lib/os/notify.node.ts';
import { systemFailure } from '../../lib/os/system-error.node.ts';
import type { Context } from '../context.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { failureText } from '../failure-text.ts';
import { jsonLine } from '../json-text.ts';
import { refuse } from '../kinds.ts';
import { placeOptions } from '../places.ts';
import { untilAborted } from '../until-aborted.ts';

const OPEN_TO_ALL = /^https?:\/\/(?!127\.|\[::1\])/;

/** Where tokens are; undefined if nothing may be written. @throws CasError `USAGE` */
function tokenReader({ options, environment }: Context): (() => string) | undefined {
  const { writable, tokenFile } = options;
  if (!writable) {
    if (tokenFile === undefined) return undefined;
    throw refuse('--token-file= is of use only with --writable.');
  }
  const token = environment.CASYNC_SERVE_TOKEN;
  if (tokenFile !== undefined) {
    return () => {
      try {
        return readFileSync(tokenFile, 'utf8');
      } catch (error) {
        throw systemFailure('read', error, tokenFile);
      }
    };
  }
  if (token) return () => token;
  throw refuse('--writable needs --token-file= or the variable CASYNC_SERVE_TOKEN.');
}

/** @throws CasError `USAGE` */
function tlsOptions({ options }: Context): Pick<ServeOptions, 'tls'> {
  const { tlsCertificate: certificate, tlsKey: key, clientCa: clientAuthorities } = options;
  if (certificate === undefined || key === undefined) {
    const isAny = [certificate, key, clientAuthorities].some((path) => path !== undefined);
    if (isAny) throw refuse('TLS needs both --tls-certificate= and --tls-key=.');
    return {};
  }
  const clients = clientAuthorities === undefined ? {} : { clientAuthorities };
  return { tls: { certificate, key, ...clients } };
}

function reload(server: ServeResult, { warn, inform }: Context): void {
  try {
    server.reload();
    inform('Read tokens and certificates again.');
  } catch (error) {
    if (!isCasError(error)) throw error;
    warn(`Failed to reload, going on as before: ${error.message}`);
  }
}

export async function serve(words: readonly string[], context: Context): Promise<void> {
  if (context.options.stdio) return serveStdio(words, context);
  const { options, environment, stdout, signal } = context;
  const [place] = words;
  if (place === undefined) throw refuse('Expected a folder or store to serve.');
  const { listen, accessLog } = options;
  const readTokens = tokenReader(context);
  const tls = tlsOptions(context);
  const suffix = environment.CASYNC_COMPRESSED_CHUNK_SUFFIX;
  const server = await serveOverHttp({
    place,
    ...placeOptions(context),
    ...tls,
    ...(listen === undefined ? {} : { listen }),
    ...(accessLog === undefined ? {} : { accessLog }),
    ...(readTokens === undefined ? {} : { readTokens }),
    ...(suffix ? { suffix } : {}),
    onFailure: (error) => context.warn(failureText(error)),
  });
  try {
    context.onHangUp(() => reload(server, context));
    const { address } = server;
    if (readTokens !== undefined && tls.tls === undefined && OPEN_TO_ALL.test(address)) {
      context.warn('Tokens and uploads are not encrypted: others on the network can read them.');
    }
    stdout.write(options.json ? jsonLine({ address }) : `Listening on ${address}\n`);
    stdout.flush();
    notify('READY=1');
    await untilAborted(signal);
    notify('STOPPING=1');
  } finally {
    await server.close();
  }
}

/** The far end of `sync` (spec/formats/session.md). */
async function serveStdio(words: readonly string[], context: Context): Promise<void> {
  if (words.length > 0) throw refuse('--stdio needs no place: the other side names what it wants.');
  const { signal, warn } = context;
  const { serveOverStandardStreams } = await import('../../lib/api/serve-session.node.ts');
  const work = { ...placeOptions(context), signal, onWarning: warn };
  const told = await serveOverStandardStreams(work);
  if (told !== undefined) context.setExitCode(exitCodeOf(told));
}
