import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FileContent } from '../../../lib/extract/file-content.node.ts';
import { newTally } from '../../../lib/extract/tally.ts';
import { UpdatedContent } from '../../../lib/extract/updated-content.node.ts';
import { statDescriptor } from '../../../lib/os/file-stat.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const PIECE = 10_000;
const PIECES = 40;

test('files of trees that are extracted at the same time keep their own contents', (t) => {
  const folder = temporaryFolder(t);
  const files = ['a', 'b', 'c'].map((name) => {
    const fd = openSync(join(folder, name), 'w');
    return { name, fd, content: new FileContent(fd, PIECE * PIECES, true) };
  });
  for (let i = 0; i < PIECES; i++) {
    for (const { name, content } of files) content.write(Buffer.alloc(PIECE, name));
  }
  for (const { name, fd, content } of files) {
    content.finish();
    closeSync(fd);
    t.true(readFileSync(join(folder, name)).equals(Buffer.alloc(PIECE * PIECES, name)));
  }
});

test('so do those that are compared with older ones', (t) => {
  const folder = temporaryFolder(t);
  const files = ['a', 'b'].map((name) => {
    const path = join(folder, name);
    writeFileSync(path, Buffer.alloc(PIECE * PIECES, name));
    const fd = openSync(path, 'r');
    const old = { fd, stat: statDescriptor(fd) };
    const create = (): number => {
      const made = openSync(`${path}-new`, 'w+');
      ftruncateSync(made, 0);
      return made;
    };
    const content = new UpdatedContent({
      size: PIECE * PIECES,
      punchHoles: true,
      reflink: false,
      old,
      shared: undefined,
      create,
      tally: newTally(),
    });
    content.begin();
    return { name, content };
  });
  for (let i = 0; i < PIECES; i++) {
    for (const { name, content } of files) content.write(Buffer.alloc(PIECE, name));
  }
  for (const { content } of files) {
    t.not(content.finish(), undefined, 'the older file stays');
    content.close();
  }
});
