import { ConsiliumError } from "@consilium/base/errors"

/** The first broken rules of a file and the count of all; no part of it holds a value of the file. */
export class CsvProblems {
  readonly #source: string
  readonly #most: number
  readonly #place: "line" | "row"
  readonly #lines: string[] = []
  readonly #remedies = new Set<string>()
  #count = 0

  constructor(source: string, most: number, place: "line" | "row") {
    this.#source = source
    this.#most = most
    this.#place = place
  }

  /** `where` names the column, `rule` says what is broken, without the value that breaks it. */
  add(line: number, where: string, rule: string, remedy: string): void {
    this.#count++
    if (this.#lines.length >= this.#most) return
    this.#lines.push(`\n  ${this.#place} ${line}, ${where}: ${rule}.`)
    this.#remedies.add(remedy)
  }

  /** @throws {ConsiliumError} "csv/bad-rows" if there was any problem */
  throwIfAny(): void {
    if (this.#count === 0) return
    const rest = this.#count - this.#lines.length
    const tail = rest > 0 ? `\n  and ${rest} more.` : ""
    throw new ConsiliumError(
      "csv/bad-rows",
      `${this.#source} breaks its schema in ${this.#count} ${this.#count === 1 ? "place" : "places"}:${this.#lines.join("")}${tail}`,
      { remedy: [...this.#remedies].join(" ") },
    )
  }
}
