/** Tables as text. Source: RFC 4180, and what spreadsheets make of it: a mark of byte order, semicolons, tabs. */

/** A row with the line it begins on, counted from one. */
export interface CsvRow {
  readonly line: number
  readonly cells: readonly string[]
}

export interface Csv {
  readonly separator: string
  readonly rows: readonly CsvRow[]
}

const SEPARATORS = [",", ";", "\t"] as const

/** The separator that the first line has most of. */
const separatorOf = (text: string): string => {
  const first = text.slice(0, text.search(/[\r\n]|$/))
  const count = (separator: string): number => first.split(separator).length
  return SEPARATORS.reduce((best, separator) => (count(separator) > count(best) ? separator : best))
}

/**
 * The rows of a text; empty lines are left out.
 * Cost: one pass
 * @throws {SyntaxError} if a quotation mark is not closed
 */
export const parseCsv = (given: string): Csv => {
  const text = given.startsWith("\ufeff") ? given.slice(1) : given
  const separator = separatorOf(text)
  const rows: CsvRow[] = []
  let [at, line] = [0, 1]
  while (at < text.length) {
    const cells: string[] = []
    const began = line
    let written = false
    for (;;) {
      let cell = ""
      if (text[at] === '"') {
        written = true
        for (at++; ; ) {
          const end = text.indexOf('"', at)
          if (end < 0) throw new SyntaxError(`A quotation mark on line ${began} is not closed.`)
          cell += text.slice(at, end)
          at = end + 1
          if (text[at] !== '"') break
          cell += '"'
          at++
        }
        line += cell.split("\n").length - 1
      }
      const from = at
      while (at < text.length && text[at] !== separator && text[at] !== "\n" && text[at] !== "\r") at++
      cell += text.slice(from, at)
      cells.push(cell)
      if (text[at] !== separator) break
      at++
    }
    if (text[at] === "\r") at++
    if (text[at] === "\n") at++
    line++
    if (written || cells.length > 1 || cells[0]?.trim() !== "") rows.push({ line: began, cells })
  }
  return { separator, rows }
}

/** A cell that a spreadsheet would take for a formula, and that is no number. */
const FORMULA = /^(?:[=@\t\r]|[+-](?!\d*\.?\d*$))/

/** A cell of a table that people open in spreadsheets: what would be a formula there becomes text. */
const cellText = (cell: string): string => {
  const safe = FORMULA.test(cell) ? `'${cell}` : cell
  return /[",\r\n;\t]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export const csvText = (rows: readonly (readonly string[])[]): string =>
  rows.map((cells) => `${cells.map(cellText).join(",")}\r\n`).join("")
