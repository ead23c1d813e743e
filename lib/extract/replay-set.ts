/**
 * What of an archive's metadata is restored, resolved once from the feature flags
 * (spec/formats/feature-flags.md). Used by tree extraction.
 */
import type { NodeType } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';

export interface ReplaySet {
  readonly numericOwners: boolean;
  readonly userNames: boolean;
  readonly times: boolean;
  /** All permission bits. */
  readonly permissions: boolean;
  /** Only whether the file can be written to. */
  readonly readOnly: boolean;
  readonly xattrs: boolean;
  readonly acl: boolean;
  readonly selinux: boolean;
  readonly fileCapabilities: boolean;
  readonly quotaProjectId: boolean;
  /** Bits 13-27 that are restored. */
  readonly entryFlags: number;
  readonly nodeTypes: ReadonlySet<NodeType>;
}

const ENTRY_FLAGS = (1n << 28n) - (1n << 13n);
const TIMES = FEATURE.timeNsec | FEATURE.timeUsec | FEATURE.timeSec | FEATURE.time2Sec;

const OPTIONAL_TYPES: readonly (readonly [type: NodeType, feature: bigint])[] = [
  ['symlink', FEATURE.symlinks],
  ['character-device', FEATURE.deviceNodes],
  ['block-device', FEATURE.deviceNodes],
  ['fifo', FEATURE.fifos],
  ['socket', FEATURE.sockets],
];

/** @param flags feature flags of the archive under the user's mask (`maskFlags`). */
export function replaySet(flags: bigint): ReplaySet {
  const has = (feature: bigint) => (flags & feature) !== 0n;
  const optional = OPTIONAL_TYPES.filter(([, feature]) => has(feature)).map(([type]) => type);
  return {
    numericOwners: has(FEATURE.uids16 | FEATURE.uids32),
    userNames: has(FEATURE.userNames),
    times: has(TIMES),
    permissions: has(FEATURE.permissions | FEATURE.acl),
    readOnly: has(FEATURE.readOnly),
    xattrs: has(FEATURE.xattrs),
    acl: has(FEATURE.acl),
    selinux: has(FEATURE.selinux),
    fileCapabilities: has(FEATURE.fileCapabilities),
    quotaProjectId: has(FEATURE.quotaProjectId),
    entryFlags: Number(flags & ENTRY_FLAGS),
    nodeTypes: new Set<NodeType>(['directory', 'file', ...optional]),
  };
}
