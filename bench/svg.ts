/** The few shapes of SVG that the plots consist of, and who has which colour. */

export interface TextOptions {
  readonly size?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly bold?: boolean;
  readonly colour?: string;
}

const COLOURS: Readonly<Record<string, string>> = {
  ours: '#1b5fc1',
  'ours-nosync': '#7fb0f0',
  casync: '#e08a1e',
  desync: '#2f9e62',
  zstd: '#7d7d7d',
  tar: '#b5a642',
  borg: '#9467bd',
  restic: '#c44e6a',
};

const FONTS = 'DejaVu Sans, Verdana, sans-serif';
export const INK = '#222222';
export const FAINT = '#d5d5d5';

export function colourOf(contestant: string): string {
  return COLOURS[contestant] ?? '#000000';
}

export function rectangle(
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string,
): string {
  const size = `width="${at(width)}" height="${at(height)}"`;
  return `<rect x="${at(x)}" y="${at(y)}" ${size} fill="${colour}"/>`;
}

export function line(
  from: readonly [number, number],
  to: readonly [number, number],
  colour: string,
  width = 1,
): string {
  const ends = `x1="${at(from[0])}" y1="${at(from[1])}" x2="${at(to[0])}" y2="${at(to[1])}"`;
  return `<line ${ends} stroke="${colour}" stroke-width="${width}"/>`;
}

export function path(points: readonly (readonly [number, number])[], colour: string): string {
  const text = points.map(([x, y]) => `${at(x)},${at(y)}`).join(' ');
  return `<polyline points="${text}" fill="none" stroke="${colour}" stroke-width="2"/>`;
}

export function dot(x: number, y: number, colour: string): string {
  return `<circle cx="${at(x)}" cy="${at(y)}" r="3.5" fill="${colour}"/>`;
}

export function text(x: number, y: number, content: string, options: TextOptions = {}): string {
  const { size = 12, anchor = 'start', bold = false, colour = INK } = options;
  const weight = bold ? ' font-weight="bold"' : '';
  const place = `x="${at(x)}" y="${at(y)}" font-size="${size}" text-anchor="${anchor}"`;
  return `<text ${place}${weight} fill="${colour}">${escaped(content)}</text>`;
}

/** Names with their colours in one line. */
export function legend(x: number, y: number, names: readonly string[]): string {
  let left = x;
  return names
    .map((name) => {
      const shapes = [rectangle(left, y - 9, 10, 10, colourOf(name)), text(left + 14, y, name)];
      left += 34 + 7.5 * name.length;
      return shapes.join('\n');
    })
    .join('\n');
}

/** A complete picture on white, so that it can be read on dark pages, too. */
export function picture(width: number, height: number, shapes: readonly string[]): string {
  const [w, h] = [at(width), at(height)];
  const size = `width="${w}" height="${h}" viewBox="0 0 ${w} ${h}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="${FONTS}">`,
    rectangle(0, 0, width, height, '#ffffff'),
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
}

function at(value: number): string {
  return `${Math.round(value * 10) / 10}`;
}

function escaped(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
