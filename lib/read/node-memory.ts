/** How much memory nodes occupy, for caches of them. */
import type { CatarNode } from '../../formats/catar-events.ts';

const MEMORY_OF_NODE = 600;
const MEMORY_OF_ATTRIBUTE = 200;

/** Bytes, by estimate. */
export function memoryOf(node: CatarNode): number {
  let memory = MEMORY_OF_NODE + (node.linkTarget?.length ?? 0);
  for (const { name, value } of node.xattrs) {
    memory += MEMORY_OF_ATTRIBUTE + name.length + value.length;
  }
  for (const acl of [node.acl, node.defaultAcl]) {
    if (acl !== undefined) memory += MEMORY_OF_ATTRIBUTE * (acl.users.length + acl.groups.length);
  }
  return memory + (node.fileCapabilities?.length ?? 0) + (node.selinuxLabel?.length ?? 0);
}
