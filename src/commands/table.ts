// A table for a terminal: columns as wide as their widest cell, the last one as it comes.

/** One line per row. Colours do not count towards the width. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, visibleLength(cell));
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1
            ? cell
            : cell + ' '.repeat((widths[column] ?? 0) - visibleLength(cell)),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

// oxlint-disable-next-line no-control-regex -- escape sequences begin with a control character
const COLOURS = /\u001B\[\d+m/g;

function visibleLength(cell: string): number {
  return cell.replaceAll(COLOURS, '').length;
}
