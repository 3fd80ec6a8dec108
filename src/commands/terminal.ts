// What commands print: results on standard output, in colour when that is a terminal.

// Whoever reads may have read enough, as `| head -1` does: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(process.exitCode ?? 0);
});

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON document, for `--json`. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

const hasColours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';

function colour(code: number) {
  return (text: string): string => (hasColours ? `\u001B[${code}m${text}\u001B[0m` : text);
}

export const bold = colour(1);
export const dim = colour(2);
export const red = colour(31);
export const green = colour(32);
export const yellow = colour(33);
export const cyan = colour(36);
