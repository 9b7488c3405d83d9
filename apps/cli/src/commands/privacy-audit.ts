import { newSecretKey, PrfStream } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import {
  type AuditOptions,
  type AuditRow,
  allHold,
  type Section,
  type SectionBuilder,
} from "../audit/section.js"
import { columns, EndWith, type Format, print } from "./printed.js"
import { stopSignal } from "./stopping.js"

export interface PrivacyAuditOptions {
  readonly data?: string
  readonly seed?: number
  readonly trials: number
  /** The program that facilities run is audited instead: this one, or another build's `process.js`. */
  readonly process?: string | true
  readonly format: Format
}

const verdictOf = ({ holds }: AuditRow): string =>
  holds === null ? "told" : holds ? "holds" : "DOES NOT HOLD"

const sure = ({ confidence }: AuditRow): string =>
  confidence === undefined ? "" : `${Number((100 * confidence).toPrecision(8))} %`

const LEGEND = [
  "AUC: how often a patient who was in it scores above one who was not; 0.5 is chance. TPR: the share of those who were in it",
  'that the attack finds. FPR: the share of the others that it takes for them. Brackets hold the limits of chance; "told" is a',
  'figure that nothing bounds. "Found" means every feature right to the distance named, in deviations of that feature.',
  "",
]

const linesOf = (
  sections: readonly Section[],
  legend: readonly string[],
  seconds: number,
): readonly string[] => {
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
    ...legend,
    failing.length === 0
      ? `All bounds hold (${seconds.toFixed(0)} s).`
      : `${failing.length} of the bounds do not hold: ${failing.map(({ id }) => id).join(", ")} (${seconds.toFixed(0)} s).`,
  ]
}

/** The attacks; or the audit of the program that facilities run. */
const buildersOf = async ({ process: audited }: PrivacyAuditOptions): Promise<readonly SectionBuilder[]> => {
  if (audited === undefined) return (await import("../audit/sections.js")).SECTIONS
  const { auditFacilityProcess } = await import("../audit/facility-process.js")
  const stop = stopSignal(false)
  const build: SectionBuilder = ({ random, progress }) =>
    auditFacilityProcess({
      ...(audited === true ? {} : { facilityBin: audited }),
      random: random("facility-process"),
      progress,
      stop,
    })
  return [build]
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
  for (const build of await buildersOf(given)) sections.push(await build(options))
  const seconds = (Date.now() - started) / 1000
  const holds = allHold(sections)
  print(
    given.format,
    { seed, trials, data, seconds, holds, sections },
    linesOf(sections, given.process === undefined ? LEGEND : [], seconds),
  )
  if (!holds) throw new EndWith(1)
}
