/** Extracts archives in the process of the test, without the command line around it. */
import type { CatarEvent } from '../../formats/catar-events.ts';
import { CatarParser } from '../../formats/catar-parser.ts';
import { ALL_FEATURES, maskFlags } from '../../formats/feature-flags.ts';
import { TreeExtractor, type TreeOptions } from '../../lib/extract/tree.node.ts';

export interface ExtractionOptions extends Omit<TreeOptions, 'replayFlags'> {
  /** Features the user wants; everything unless said otherwise. */
  readonly mask?: bigint;
  /** Runs after each event. */
  readonly afterEvent?: (event: CatarEvent) => void;
}

/** Extracts an archive into `target`. @throws what parser and extractor throw, after cleaning up */
export async function extractArchive(
  archive: Uint8Array,
  target: string,
  options: ExtractionOptions = {},
): Promise<void> {
  const parser = new CatarParser();
  await extractEvents(parser.push(archive), target, options);
  parser.end();
}

/** Extracts archive events into `target`. @throws what the extractor throws, after cleaning up */
export async function extractEvents(
  events: Iterable<CatarEvent>,
  target: string,
  options: ExtractionOptions = {},
): Promise<void> {
  const { mask = ALL_FEATURES, afterEvent, ...rest } = options;
  let extractor: TreeExtractor | undefined;
  try {
    for (const event of events) {
      if (event.kind === 'enter') {
        const replayFlags = maskFlags(event.node.featureFlags, mask);
        extractor ??= new TreeExtractor(target, { ...rest, replayFlags });
      }
      await extractor?.handle(event);
      afterEvent?.(event);
    }
    await extractor?.finish();
  } catch (error) {
    throw extractor === undefined ? error : await extractor.firstError(error);
  } finally {
    await extractor?.abort();
  }
}
