/**
 * Objects and files over HTTP and HTTPS (spec/remote.md, "HTTP"): static servers, WebDAV, our own. They
 * cannot be listed. Passes test/conformance/backend.ts.
 */

import { CasError } from '../../formats/errors.ts';
import type {
  BackendAbilities,
  GetObjectOptions,
  ListedObject,
  ObjectBackend,
  ObjectInfo,
  ObjectKey,
  PutObjectOptions,
  SignalOption,
} from '../backend.ts';
import type { LocationSettings } from '../location-settings.ts';
import { assertObjectKey } from '../object-key.ts';
import type { RemoteFile } from '../remote-file.ts';
import { folderUrl } from './http-address.ts';
import { type HttpClient, openHttpClient } from './http-client.node.ts';
import type { Concern } from './http-failure.node.ts';
import { openHttpFileOf } from './http-file.node.ts';
import { HttpRequests } from './http-requests.node.ts';
import { KnownAbsent } from './known-absent.ts';

/**
 * @param url of the folder that holds the objects; query and parameters do not count
 * @throws CasError `USAGE` if the URL or a setting is malformed; StorageError for unreadable files
 */
export async function openHttpBackend(
  url: string,
  settings: LocationSettings,
): Promise<ObjectBackend> {
  return new HttpBackend(await openHttpClient(folderUrl(url), settings));
}

/** @param url of one index or archive, used as it is @throws as {@link openHttpBackend} */
export async function openHttpFile(url: string, settings: LocationSettings): Promise<RemoteFile> {
  return openHttpFileOf(await openHttpClient(url, settings), settings);
}

/** Names kept of what is not there. */
const MOST_KNOWN_ABSENT = 4096;

class HttpBackend implements ObjectBackend {
  readonly label: string;
  readonly can: BackendAbilities = { write: true, list: false, remove: true };
  readonly #client: HttpClient;
  readonly #requests: HttpRequests;
  /** Path of the folder, with a slash at the end. */
  /** What `has` did not find: who puts it now need not look again. */
  readonly #absent = new KnownAbsent(MOST_KNOWN_ABSENT);
  readonly #folder: string;
  /** Whether the server does not replace what a put must not replace; undefined until it was asked. */
  #honoursConditions: boolean | undefined;

  constructor(client: HttpClient) {
    this.#client = client;
    this.#requests = new HttpRequests(client);
    this.label = client.label;
    this.#folder = client.address.target.replace(/\/*$/, '/');
  }

  async get(key: ObjectKey, options: GetObjectOptions = {}): Promise<Uint8Array> {
    const target = this.#target(key);
    return this.#requests.get(target, options, this.#concern(key, 'get'), options.signal);
  }

  async has(keys: readonly ObjectKey[], { signal }: SignalOption = {}): Promise<boolean> {
    signal?.throwIfAborted();
    const targets = keys.map((key) => this.#target(key));
    for (const [i, key] of keys.entries()) {
      const found = await this.#requests.find(targets[i], this.#concern(key, 'find'), signal);
      if (found !== undefined) return true;
    }
    this.#absent.note(keys);
    return false;
  }

  async stat(key: ObjectKey, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    const target = this.#target(key);
    const concern = this.#concern(key, 'stat');
    const found = await this.#requests.find(target, concern, signal);
    if (found === undefined) return undefined;
    const { modified, size = await this.#sizeByPart(target, concern, signal) } = found;
    return size === undefined ? undefined : { size, modified };
  }

  async put(
    key: ObjectKey,
    bytes: Uint8Array,
    { signal, ifAbsent = false }: PutObjectOptions = {},
  ): Promise<'stored' | 'present'> {
    const concern = this.#concern(key, 'put');
    const target = this.#target(key);
    const wish = { body: bytes, ifAbsent, folders: this.#foldersOf(key) };
    if (!ifAbsent) return this.#requests.put(target, wish, concern, signal);
    // A server that knows no conditions would replace it.
    const isLookedFor = this.#absent.take(key) || this.#honoursConditions === true;
    if (!isLookedFor && (await this.has([key], { signal }))) return 'present';
    this.#absent.take(key);
    const result = await this.#requests.put(target, wish, concern, signal);
    if (result === 'present') this.#honoursConditions = true;
    else if (this.#honoursConditions === undefined) {
      this.#honoursConditions = false;
      // Asked once, by the same bytes again: replaced by themselves at worst.
      const again = await this.#requests.put(target, wish, concern, signal);
      this.#honoursConditions = again === 'present';
    }
    return result;
  }

  /** What was put is there: a server that says so has it. */
  async flush({ signal }: SignalOption = {}): Promise<void> {
    signal?.throwIfAborted();
  }

  async remove(key: ObjectKey, { signal }: SignalOption = {}): Promise<void> {
    await this.#requests.remove(this.#target(key), this.#concern(key, 'remove'), signal);
  }

  // biome-ignore lint/correctness/useYield: nothing can be listed
  async *list(): AsyncGenerator<ListedObject> {
    const reason = 'Stores over HTTP cannot be listed';
    throw new CasError('UNSUPPORTED', { subject: this.label, step: 'list', reason });
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #sizeByPart(
    target: string,
    concern: Concern,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    return (await this.#requests.findByPart(target, concern, signal))?.size;
  }

  #target(key: ObjectKey): string {
    assertObjectKey(key);
    return this.#folder + key;
  }

  /** The folder of the store and those of the key in it, each with a slash at the end. */
  #foldersOf(key: ObjectKey): readonly string[] {
    const folders = this.#folder === '/' ? [] : [this.#folder];
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) {
      folders.push(this.#folder + key.slice(0, slash + 1));
    }
    return folders;
  }

  #concern(key: ObjectKey, step: string): Concern {
    return { subject: `${this.label}/${key}`, step };
  }
}
