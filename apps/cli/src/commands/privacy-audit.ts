import { newSecretKey, PrfStream } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { type AuditOptions, type AuditRow, allHold, type Section } from "../audit/section.js"
import { SECTIONS } from "../audit/sections.js"
import { columns, EndWith, type Format, print } from "./printed.js"

export interface PrivacyAuditOptions {
  readonly data?: string
  readonly seed?: number
  readonly trials: number
  readonly format: Format
}

const verdictOf = ({ holds }: AuditRow): string =>
  holds === null ? "told" : holds ? "holds" : "DOES NOT HOLD"

const sure = ({ confidence }: AuditRow): string =>
  confidence === undefined ? "" : `${Number((100 * confidence).toPrecision(4))} %`

const linesOf = (sections: readonly Section[], seconds: number): readonly string[] => {
  const failing = sections.flatMap(({ rows }) => rows.filter(({ holds }) => holds === false))
  return [
    ...sections.flatMap(({ title, rows }) => [
      title,
      ...columns(
        ["", "what was tried", "figure", "bound", "sure"],
        rows.map((row) => [verdictOf(row), row.what, row.value, row.bound ?? "-", sure(row)]),
      ),
      "",
    ]),
    "AUC: how often a patient who was in it scores above one who was not; 0.5 is chance. TPR: the share of those who were in it",
    'that the attack finds. FPR: the share of the others that it takes for them. Brackets hold the limits of chance; "told" is a',
    'figure that nothing bounds. "Found" means every feature right to the distance named, in deviations of that feature.',
    "",
    failing.length === 0
      ? `All bounds hold (${seconds.toFixed(0)} s).`
      : `${failing.length} of the bounds do not hold: ${failing.map(({ id }) => id).join(", ")} (${seconds.toFixed(0)} s).`,
  ]
}

/** Runs the attacks of the audit and prints how far each of them got. */
export const privacyAudit = async (given: PrivacyAuditOptions): Promise<void> => {
  const { data = null, seed = null, trials } = given
  // read in large portions, which the system's own generator is slow at
  const secret = newSecretKey()
  const options: AuditOptions = {
    data,
    seed,
    trials,
    random: (purpose) =>
      seed === null
        ? new PrfStream(secret, "privacy-audit", purpose)
        : insecureSeededRandom(seed, "privacy-audit", purpose),
    progress: (line) => process.stderr.write(`${line}\n`),
  }
  const started = Date.now()
  const sections: Section[] = []
  for (const build of SECTIONS) sections.push(await build(options))
  const seconds = (Date.now() - started) / 1000
  const holds = allHold(sections)
  print(given.format, { seed, trials, data, seconds, holds, sections }, linesOf(sections, seconds))
  if (!holds) throw new EndWith(1)
}
