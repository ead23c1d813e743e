/** From the ACL of a file to what the archive says of it (spec/formats/catar.md, "ACLs"). */

import { compareBytes } from '../../formats/bytes.ts';
import type { AccessAcl, AclEntry, DefaultAcl } from '../../formats/catar-events.ts';
import { PipelineError } from '../errors.ts';
import type { PosixAcl, PosixAclEntry } from '../os/posix-acl.ts';
import type { OwnerRules, RecordedOwner } from './owner-rules.ts';

/** What goes beside the mode; undefined if the mode says it all. @throws PipelineError */
export function recordedAccessAcl(acl: PosixAcl, owners: OwnerRules): AccessAcl | undefined {
  const { users, groups, mask, groupObject } = acl;
  if (mask === undefined && users.length === 0 && groups.length === 0) return undefined;
  return {
    users: recordedEntries(users, owners.inAcl.user),
    groups: recordedEntries(groups, owners.inAcl.group),
    // The mask is in the group bits of the mode, so the group itself needs a place.
    ...(mask === undefined || groupObject === undefined ? {} : { groupObject }),
  };
}

/** The default ACL of a directory. @throws PipelineError */
export function recordedDefaultAcl(acl: PosixAcl, owners: OwnerRules): DefaultAcl {
  return {
    ...acl,
    users: recordedEntries(acl.users, owners.inAcl.user),
    groups: recordedEntries(acl.groups, owners.inAcl.group),
  };
}

function recordedEntries(
  entries: readonly PosixAclEntry[],
  ownerOf: (id: number) => RecordedOwner,
): readonly AclEntry[] {
  const recorded = entries
    .map(({ id, permissions }) => ({ ...ownerOf(id), permissions }))
    .sort(compareEntries);
  const twin = recorded.find((entry, i) => i > 0 && compareEntries(recorded[i - 1], entry) === 0);
  if (twin === undefined) return recorded;
  // The original writes an archive that it cannot read.
  const reason = `two entries of the ACL become the same with number ${twin.id} (see --uid-range)`;
  throw new PipelineError('UNSUPPORTED', { step: 'record ACL', reason });
}

function compareEntries(a: AclEntry, b: AclEntry): number {
  if (a.id !== b.id) return a.id - b.id;
  return compareNames(a.name, b.name) || a.permissions - b.permissions;
}

/** Entries without a name come first. */
function compareNames(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return compareBytes(a, b);
}
