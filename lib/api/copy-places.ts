/** Where copied indexes go: beside the store that gets their chunks (spec/remote.md, "copy"). */
import { classifyLocator, redacted } from '../../store/location.ts';
import { PipelineError } from '../errors.ts';

/**
 * @param store locator of the store that is copied to
 * @param index locator of an index
 * @returns locator of the index of the same name beside the store
 * @throws PipelineError `USAGE` if the index has no name that can be used there
 */
export function placeBeside(store: string, index: string): string {
  const name = nameOf(index);
  const target = classifyLocator(store);
  switch (target.kind) {
    case 'path':
      return folderOf(target.path) + name;
    case 'ssh':
      return `${target.host}:${folderOf(target.path)}${name}`;
    case 'url': {
      const [origin, path] = splitUrl(target.url);
      return `${origin}${folderOf(path) || '/'}${encodeURIComponent(name)}`;
    }
  }
}

/** Scheme and host, and the path without query and parameters. */
function splitUrl(url: string): readonly [string, string] {
  const [, origin = url, path = ''] = /^([^:]+:\/\/[^/?;]*)([^?;]*)/s.exec(url) ?? [];
  return [origin, path];
}

/** The path of the folder with its slash; the root of a place is its own folder. */
function folderOf(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  return path !== '' && trimmed === '' ? '/' : trimmed.slice(0, trimmed.lastIndexOf('/') + 1);
}

function nameOf(index: string): string {
  const source = classifyLocator(index);
  const path = source.kind === 'url' ? splitUrl(source.url)[1] : source.path;
  const last = path.slice(path.lastIndexOf('/') + 1);
  const name = source.kind === 'url' ? decoded(last) : last;
  if (name !== undefined && /^[^/\0]+$/.test(name) && name !== '.' && name !== '..') return name;
  const reason = 'An index is copied under its name, and this is none.';
  throw new PipelineError('USAGE', { subject: redacted(index), reason });
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
