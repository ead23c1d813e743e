/**
 * File systems whose contents are made up by the kernel and are not archived: a directory on one
 * becomes empty, a file too (spec/formats/catar.md, "What is left out"). By the number of `statfs`.
 */
const VIRTUAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x42494e4d, // binfmt_misc
  0x63677270, // cgroup2
  0x27e0eb, // cgroup
  0x62656570, // configfs
  0x64626720, // debugfs
  0x1cd1, // devpts
  0xde5e81e4, // efivarfs
  0x65735543, // fusectl
  0x958458f6, // hugetlbfs
  0x19800202, // mqueue
  0x6e667364, // nfsd
  0x9fa0, // proc
  0x6165676c, // pstore
  0x67596969, // rpc_pipefs
  0x73636673, // securityfs
  0xf97cff8c, // selinuxfs
  0x43415d53, // smackfs
  0x62656572, // sysfs
]);

/** @param type number of the file system type as `statfs` reports it, unsigned. */
export function isVirtualFileSystem(type: number): boolean {
  return VIRTUAL_FILE_SYSTEMS.has(type);
}
