/** What every implementation of BlockTarget promises (lib/extract/target.ts). */
import test, { type ExecutionContext } from 'ava';
import type { BlockTarget } from '../../lib/extract/target.ts';
import { noise } from '../helpers/golden.ts';

/** A target that a test has opened, and what became of it. */
export interface TargetUnderTest {
  readonly target: BlockTarget;
  /** The first `size` bytes of the output after commit. */
  result(): Uint8Array | Promise<Uint8Array>;
}

export interface TargetSuite {
  /** Opens a target for `size` bytes; undefined if this machine cannot, which was said then. */
  open(
    t: ExecutionContext,
    size: number,
    punchHoles: boolean,
  ): Promise<TargetUnderTest | undefined>;
}

const PIECE = 70_000;

/** Declares the tests of the suite. */
export function targetSuite(name: string, suite: TargetSuite): void {
  for (const punchHoles of [true, false]) {
    const title = `${name}, ${punchHoles ? 'with' : 'without'} holes`;

    test(`${title}: what was written comes back`, async (t) => {
      const content = mixedContent();
      const opened = await suite.open(t, content.length, punchHoles);
      if (opened === undefined) return;
      const { target } = opened;
      for (let offset = 0; offset < content.length; offset += PIECE) {
        const piece = content.slice(offset, offset + PIECE);
        await target.write(piece, offset);
        piece.fill(0xee);
      }
      await target.commit();
      t.deepEqual(Buffer.from(await opened.result()), Buffer.from(content));
    });

    test(`${title}: zeros come back as zeros`, async (t) => {
      const opened = await suite.open(t, 300_001, punchHoles);
      if (opened === undefined) return;
      const { target } = opened;
      await target.zero(0, 100_000);
      await target.write(new Uint8Array(100_000), 100_000);
      await target.zero(200_000, 100_001);
      await target.commit();
      t.true(Buffer.from(await opened.result()).equals(Buffer.alloc(300_001)));
    });
  }

  test(`${name}: an empty blob is an output of its own`, async (t) => {
    const opened = await suite.open(t, 0, true);
    if (opened === undefined) return;
    await opened.target.commit();
    t.is((await opened.result()).length, 0);
  });

  test(`${name}: giving up twice, or after success, does nothing`, async (t) => {
    const opened = await suite.open(t, 3, true);
    if (opened === undefined) return;
    await opened.target.write(Uint8Array.of(1, 2, 3), 0);
    await opened.target.commit();
    await opened.target.discard();
    await opened.target.discard();
    t.deepEqual([...(await opened.result())], [1, 2, 3]);
  });
}

/** Data, short and long runs of zeros in all alignments, and zeros at the end. */
function mixedContent(): Uint8Array {
  const content = new Uint8Array(600_000);
  content.set(noise(100_000), 0);
  content.set(noise(5, 2), 104_096);
  content.set(noise(4096, 3), 110_592);
  content.set(noise(200_000, 4), 250_001);
  return content;
}
