/**
 * Whom extracted files belong to: names beat numbers, numbers are shifted into the range of a
 * container (spec/formats/catar.md, "Owners"). Used by tree extraction.
 */
import type { AclEntry, CatarNode } from '../../formats/catar-events.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { PipelineError } from '../errors.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { groupId, userId } from '../os/users.node.ts';
import { shiftedId } from './recorded-metadata.ts';
import type { ReplaySet } from './replay-set.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const DECIMAL = /^\d{1,9}$/;

type Database = 'user' | 'group';

export class OwnerResolver {
  readonly #replay: ReplaySet;
  readonly #shift: UidShift | undefined;

  constructor(replay: ReplaySet, shift: UidShift | undefined) {
    this.#replay = replay;
    this.#shift = shift;
  }

  /** Undefined if owners are not restored. @throws PipelineError without subject, unknown name */
  ownerOf(node: CatarNode): Owner | undefined {
    if (!this.#replay.numericOwners && !this.#replay.userNames) return undefined;
    return {
      uid: this.#resolve('user', node.uid, node.user),
      gid: this.#resolve('group', node.gid, node.group),
    };
  }

  /** Number of a user or group in an ACL. @throws PipelineError without subject, unknown name */
  idOf(database: Database, entry: AclEntry): number {
    return this.#resolve(database, entry.id, entry.name);
  }

  #resolve(database: Database, recorded: number, name: Uint8Array | undefined): number {
    if (name === undefined || !this.#replay.userNames) return this.#shifted(recorded);
    // Archives without numbers spell out the ids that have no name.
    const digits = DECIMAL.exec(escapeBytes(name))?.[0];
    return digits === undefined ? lookUp(database, name) : this.#shifted(Number(digits));
  }

  #shifted(recorded: number): number {
    return shiftedId(recorded, this.#shift);
  }
}

function lookUp(database: Database, name: Uint8Array): number {
  const id = database === 'user' ? userId(name) : groupId(name);
  if (id !== undefined) return id;
  throw new PipelineError('UNSUPPORTED', {
    step: 'set owner',
    reason: `there is no ${database} ${escapeBytes(name)} here (--without=user-names uses numbers)`,
  });
}
