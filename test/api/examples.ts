/** The examples of spec/api.md, and a folder in which they run. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { noise } from '../helpers/golden.ts';

export const PROJECT = resolve(import.meta.dirname, '../..');

export interface Example {
  /** The heading it stands under. */
  readonly title: string;
  readonly code: string;
  /** What it prints, where the page says that. */
  readonly output?: string;
}

const FENCE = /^```(js|text)\n(.*?)^```$/gms;

/** In the order of the page. */
export function readExamples(): readonly Example[] {
  const text = readFileSync(join(PROJECT, 'spec/api.md'), 'utf8');
  const examples: Example[] = [];
  for (const { 1: language, 2: content, index } of text.matchAll(FENCE)) {
    const before = examples.at(-1);
    if (language === 'text' && before !== undefined) {
      examples.splice(-1, 1, { ...before, output: content });
      continue;
    }
    const title = [...text.slice(0, index).matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? '';
    examples.push({ title, code: content });
  }
  return examples;
}

/** Prepares what the page promises. @param packageFolder where `casync` is found */
export function prepareFolder(folder: string, packageFolder: string): void {
  mkdirSync(join(folder, 'photos/holiday'), { recursive: true });
  writeFileSync(join(folder, 'photos/a.jpg'), noise(300_000));
  writeFileSync(join(folder, 'photos/holiday/b.jpg'), noise(300_000, 2));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(packageFolder, join(folder, 'node_modules/casync'));
}
