/**
 * Leases: who works in a store at the moment, so that chunks are not removed while somebody relies on
 * them (spec/formats/leases.md).
 */

/** Folder of the leases in a store; no folder of chunks has such a name. */
export const LEASE_FOLDER = 'leases';
