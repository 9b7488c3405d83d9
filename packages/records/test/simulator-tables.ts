import { type CorrelationSource, RANK_CORRELATIONS } from "../src/simulator/correlations.js"
import { CASE_MIXES, EXAMINATIONS, type ExaminationName, FACILITY_KINDS } from "../src/simulator/kinds.js"
import type { CodeMarginal, NumberMarginal } from "../src/simulator/marginal.js"
import { CODE_MARGINALS, DRAWN_COLUMNS, NUMBER_MARGINALS } from "../src/simulator/population.js"
import { BASELINE_RISK, CODE_EFFECTS, MALE_ODDS_RATIO, NUMBER_EFFECTS } from "../src/simulator/risk.js"

const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

const LETTERS: Readonly<Record<CorrelationSource, string>> = {
  "survey-2009": "a",
  "survey-2017": "b",
  assumption: "c",
}

const numberText = (marginal: NumberMarginal): string => {
  const floor = marginal.distribution === "lognormal" && marginal.floor ? ` above ${marginal.floor}` : ""
  return `${marginal.mean} ± ${marginal.deviation}${floor}`
}
const codeText = (marginal: CodeMarginal): string =>
  marginal.distribution === "bernoulli" ? String(marginal.share) : marginal.shares.join(", ")

const marginals = (): string =>
  table(
    ["column", "distribution", "women", "men", "source"],
    [
      ...Object.entries(NUMBER_MARGINALS).map(([name, { female, male, source }]) => [
        name,
        female.distribution,
        numberText(female),
        numberText(male),
        source,
      ]),
      ...Object.entries(CODE_MARGINALS).map(([name, { female, male, source }]) => [
        name,
        female.distribution,
        codeText(female),
        codeText(male),
        source,
      ]),
    ],
  )

const correlations = (): string =>
  table(
    ["column", "rank correlation with"],
    DRAWN_COLUMNS.flatMap((name) => {
      const own = RANK_CORRELATIONS.filter(({ columns }) => columns[0] === name)
      if (own.length === 0) return []
      return [
        [
          name,
          own.map(({ columns, value, source }) => `${columns[1]} ${value} ${LETTERS[source]}`).join("; "),
        ],
      ]
    }),
  )

const effects = (): string =>
  table(
    ["column", "odds of an event", "source"],
    [
      ["sex", `× ${MALE_ODDS_RATIO} for men`, "D'Agostino et al. 2008, Circulation 117:743, at the centres"],
      ...NUMBER_EFFECTS.map(({ column, step, oddsRatio, centre, source }) => [
        column,
        `× ${oddsRatio} for ${step} more, from ${centre}`,
        source,
      ]),
      ...CODE_EFFECTS.map(({ column, oddsRatios, source }) => [column, `× ${oddsRatios.join(", ")}`, source]),
    ],
  )

const signed = (values: Readonly<Record<string, number>>, sign: (value: number) => string): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${sign(value)}`)
    .join("; ") || "none"

const kinds = (): string =>
  table(
    ["", ...FACILITY_KINDS],
    [
      ["age, years", ...FACILITY_KINDS.map((kind) => agesOf(CASE_MIXES[kind].age))],
      ["share of men", ...FACILITY_KINDS.map((kind) => String(CASE_MIXES[kind].maleShare))],
      [
        "added to means",
        ...FACILITY_KINDS.map((kind) =>
          signed(CASE_MIXES[kind].shifts, (value) => (value > 0 ? `+${value}` : String(value))),
        ),
      ],
      ["times deviations", ...FACILITY_KINDS.map((kind) => signed(CASE_MIXES[kind].spreads, String))],
      [
        "times odds of codes",
        ...FACILITY_KINDS.map(
          (kind) =>
            Object.entries(CASE_MIXES[kind].odds)
              .map(([name, odds]) => `${name} ${odds.slice(1).join(", ")}`)
              .join("; ") || "none",
        ),
      ],
      ["added log odds of an event", ...FACILITY_KINDS.map((kind) => String(CASE_MIXES[kind].severity))],
      ...Object.keys(EXAMINATIONS).map((name) => [
        `without ${name}`,
        ...FACILITY_KINDS.map((kind) => {
          const { share, perDecade, forMen } = CASE_MIXES[kind].omissions[name as ExaminationName]
          const slopes = [
            perDecade === 0 ? "" : `${perDecade} a decade`,
            forMen === 0 ? "" : `${forMen} for men`,
          ]
          return [share, ...slopes.filter((text) => text !== "")].join("; ")
        }),
      ]),
      ["single values lost", ...FACILITY_KINDS.map((kind) => String(CASE_MIXES[kind].lost))],
      ["rows by default", ...FACILITY_KINDS.map((kind) => String(CASE_MIXES[kind].rows))],
    ],
  )

const agesOf = (age: NumberMarginal): string =>
  age.distribution === "truncated-normal"
    ? `${age.mean} ± ${age.deviation}, cut to ${age.low} to ${age.high}`
    : numberText(age)

/** The tables that the README shows, made from what the simulator draws from. */
export const simulatorTables = (): Readonly<Record<string, string>> => ({
  marginals: marginals(),
  correlations: correlations(),
  effects: effects(),
  kinds: kinds(),
  baseline: `${100 * BASELINE_RISK} %`,
})
