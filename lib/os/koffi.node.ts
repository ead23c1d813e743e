/**
 * The one place that loads koffi, the optional bridge to system libraries. Used by lib/os and
 * lib/compress; everything reached through it has a portable fallback or says what is missing.
 */
import { createRequire } from 'node:module';

export type Koffi = typeof import('koffi');

let loaded: { readonly koffi: Koffi | undefined } | undefined;

/**
 * koffi, loaded on first use, or undefined where it is not installed, cannot run here, or the
 * environment variable CASYNC_NATIVE is `off`.
 */
export function loadKoffi(): Koffi | undefined {
  loaded ??= { koffi: process.env.CASYNC_NATIVE === 'off' ? undefined : requireKoffi() };
  return loaded.koffi;
}

function requireKoffi(): Koffi | undefined {
  // The bundled program is CommonJS, where import.meta.url does not exist but require does.
  const load = typeof require === 'function' ? require : createRequire(import.meta.url);
  try {
    return load('koffi') as Koffi;
  } catch {
    return undefined;
  }
}
