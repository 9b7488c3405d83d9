import { ConsiliumError } from "@consilium/base/errors"
import { type ComparedStudy, fromOutcome, fromView } from "@consilium/node/compare/compared-study"
import { type Comparison, comparisonOf, FIGURES, type Figure } from "@consilium/node/compare/comparison"
import { leaderOutcomes, outcomeAt } from "@consilium/node/compare/stored-outcome"
import { columns, type Format, print } from "./printed.js"
import type { Leader } from "./study-api.js"
import { studyNamed, viewOf } from "./study-named.js"

interface Comparing extends Partial<Leader> {
  readonly config?: string
  readonly format: Format
}

/** Sets studies side by side: of a leader that runs, of a leader's data folder, or of folders. */
export const studyCompare = async (names: readonly string[], options: Comparing): Promise<void> => {
  const studies = await found(names, options)
  if (studies.length < 2)
    throw new ConsiliumError(
      "cli/usage",
      `${studies.length} studies cannot be compared; it takes two or more.`,
      {
        remedy: "Name studies by --leader URL or --config leader.yaml, or give their folders.",
      },
    )
  const comparison = comparisonOf(studies)
  print(options.format, comparison, textOf(comparison))
}

const found = async (names: readonly string[], options: Comparing): Promise<readonly ComparedStudy[]> => {
  const { leader, config } = options
  if (config !== undefined) return (await leaderOutcomes(config, names)).map(fromOutcome)
  if (leader === undefined) return (await Promise.all(names.map(outcomeAt))).map(fromOutcome)
  const studies: ComparedStudy[] = []
  for (const name of names) {
    const { id } = await studyNamed({ ...options, leader }, name)
    studies.push(fromView(await viewOf({ ...options, leader }, id)))
  }
  return studies
}

const WORDS: Readonly<Record<Figure, string>> = {
  accuracy: "accuracy",
  balancedAccuracy: "balanced accuracy",
  auc: "AUC",
  logLoss: "log loss",
}

const figure = (value: number | null): string => (value === null ? "-" : value.toFixed(3))
const signed = (value: number | null): string =>
  value === null ? "" : ` (${value < 0 ? "" : "+"}${value.toFixed(3)})`
const bytes = (count: number | null): string =>
  count === null ? "not told" : count < 100_000 ? `${count} B` : `${(count / 1e6).toFixed(2)} MB`

const textOf = ({ studies, differences, notes }: Comparison): readonly string[] => {
  const [first] = studies
  const row = (head: string, cell: (study: Comparison["studies"][number], i: number) => string) => [
    head,
    ...studies.map((study, i) => cell(study, i)),
  ]
  const facilities = [...new Set(studies.flatMap(({ figures }) => figures.map((one) => one.facility)))].sort()
  const differing = (i: number) => (i === 0 ? undefined : differences[i - 1])
  const figures = FIGURES.flatMap((of) => [
    row(WORDS[of], () => ""),
    ...facilities.map((facility) =>
      row(`  at ${facility}`, (study, i) => {
        const one = study.figures.find((known) => known.facility === facility)
        const apart = differing(i)?.facilities.find((known) => known.facility === facility)
        return `${figure(one?.[of] ?? null)}${signed(apart?.[of] ?? null)}`
      }),
    ),
    row("  mean", (study, i) => `${figure(study.mean[of])}${signed(differing(i)?.mean?.[of] ?? null)}`),
  ])
  return [
    ...columns(
      row("study", ({ name }) => name),
      [
        row("id", ({ id }) => id.slice(0, 16)),
        row("state", ({ state }) => state),
        row("strategy", ({ strategy }) => strategy ?? "not told"),
        row("protection", ({ protection }) => protection ?? "not told"),
        row(
          "rounds closed",
          ({ rounds }) => `${rounds.closed}${rounds.planned === null ? "" : ` of ${rounds.planned}`}`,
        ),
        row(
          "model",
          ({ modelHash }, i) =>
            `${modelHash?.slice(0, 16) ?? "none"}${differing(i)?.sameModel ? " (the same)" : ""}`,
        ),
        row("seconds in rounds", ({ seconds }) => seconds.toFixed(1)),
        row("facilities sent", (study) => bytes(study.bytes.facilities)),
        row("addressed to leader", (study) => bytes(study.bytes.leader)),
        row("epsilon, largest", ({ epsilon }) => (epsilon === null ? "no bound" : epsilon.toFixed(3))),
        ...facilities.map((facility) =>
          row(`rows held out at ${facility}`, (study) =>
            String(study.figures.find((one) => one.facility === facility)?.rows ?? "-"),
          ),
        ),
        ...(facilities.length === 0 ? [] : figures),
      ],
    ),
    ...(facilities.length === 0 || first === undefined
      ? []
      : [`(in brackets: how much more than in ${first.name}; left out where it would say nothing)`]),
    ...notes,
  ]
}
