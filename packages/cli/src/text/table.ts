/**
 * Tables for human eyes: columns as wide as their widest cell, numbers to the right, two spaces
 * between. Line ends within a cell are shown as spaces, so that one row stays one line.
 */

/** A cell. Numbers are aligned right and get thousands separators. */
export type Cell = string | number

/** A table as text, with a line end after each row; the header is in capitals. */
export function renderTable(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  const texts = rows.map(row => row.map(cellText))
  const widths = columns.map((name, index) =>
    texts.reduce((widest, row) => Math.max(widest, row[index]?.length ?? 0), name.length),
  )
  const rightAligned = columns.map(
    (_, index) => rows.length > 0 && rows.every(row => typeof row[index] === 'number'),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0
        return rightAligned[index] === true ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  const header = line(columns.map(name => name.toUpperCase()))
  return [header, ...texts.map(line), ''].join('\n')
}

function cellText(cell: Cell): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : cell.replaceAll(/[\r\n]+/g, ' ')
}
