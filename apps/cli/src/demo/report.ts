import type { NoiseChoice } from "@consilium/federation/plan-privacy"
import type { FiguresView, SubgroupView } from "@consilium/node/api/study-view"
import type { RoundOutcome } from "@consilium/node/roles/outcome"
import { noiseWords } from "../commands/noise-words.js"
import type { Baselines, Figures, Row } from "./baselines.js"
import { figuresText } from "./figures-text.js"
import { type ImageReport, imageReportText } from "./image-report.js"
import type { Kill } from "./processes.js"
import { subgroupText } from "./subgroup-text.js"

/** What a demo prints with `--format json`. Scripts rely on it; a null figure is undefined, not zero. */
export interface DemoReport {
  readonly study: string
  readonly protection: string
  readonly strategy: string
  /** Weight of the proximal term of local steps; 0 for none. */
  readonly proximalMu: number
  readonly seed: number | null
  /** `insecure-seed`: the run protects nothing; `synthetic-data`: no row is a patient; `in-process`: nobody was apart. */
  readonly marks: readonly string[]
  readonly modelHash: string
  readonly logHead: string
  readonly seconds: number
  /** None with --in-process. */
  readonly processes: readonly { readonly role: string; readonly name: string; readonly pid: number }[]
  readonly rounds: readonly Pick<RoundOutcome, "round" | "participants" | "seconds" | "bytes">[]
  readonly metrics: Row
  readonly personalised: Row | null
  /** By groups of patients, as the facilities report them at the end; null figures are hidden, since the group is small. */
  readonly subgroups: readonly SubgroupView[]
  /** What was counted of all facilities' patients together. */
  readonly figures: Omit<FiguresView, "attempts">
  readonly baselines: Baselines
  /** Who has which images, and everybody's models on images that nobody was dealt; null where rows are no images. */
  readonly images: ImageReport | null
  /** Null epsilon: no differential privacy, so no bound. */
  readonly privacy: readonly {
    readonly facility: string
    readonly epsilon: number | null
    readonly delta: number | null
  }[]
  /** Why the study ended, where it is not that all its rounds are closed. */
  readonly ended: string | null
  /** Where the noise comes from; null without any. */
  readonly noise: (NoiseChoice & { readonly noiseMultiplier: number }) | null
  /** Most that each facility may spend; null without differential privacy. */
  readonly budget: { readonly epsilon: number; readonly delta: number } | null
  /** What the same facilities reach without noise; null where the study itself trains without. */
  readonly withoutNoise: Row | null
  readonly audit: { readonly verified: boolean; readonly events: number; readonly certifiedSums: number }
  /** With --chaos: who was killed, and the model of the same study undisturbed. */
  readonly chaos: {
    readonly kills: readonly Kill[]
    readonly undisturbedHash: string
    readonly same: boolean
  } | null
  /** With --explain: the run told from the leader's log, line by line. */
  readonly explained: readonly string[] | null
  readonly folder: string
}

const figure = (value: number | null): string => (value === null ? "  -  " : value.toFixed(3))
const figures = ({ accuracy, balancedAccuracy, auc }: Figures): string =>
  `${figure(accuracy)}   ${figure(balancedAccuracy)}   ${figure(auc)}`

const row = (label: string, values: Figures): string => `  ${label.padEnd(34)} ${figures(values)}`

const bytes = (count: number): string =>
  count < 10_000 ? `${count.toFixed(0)} B` : `${(count / 1000).toFixed(0)} kB`

const sumOver = (report: DemoReport, pick: (bytes: RoundOutcome["bytes"]) => number): string =>
  bytes(report.rounds.reduce((sum, round) => sum + pick(round.bytes), 0) / Math.max(1, report.rounds.length))

/** What the updates are to the fogs that add them up. */
const UPDATES: Readonly<Record<string, string>> = {
  plain: "updates readable by their fog",
  shamir: "updates readable by their fog",
  ckks: "encrypted updates, added unread",
  bfv: "encrypted updates, added unread",
  masked: "masked updates, added unread",
}

/** Facilities that the text names one by one. */
const SHOWN = 24

/** What must be known of every figure in the report. */
const MARKS: Readonly<Record<string, string>> = {
  "insecure-seed": "  insecure-seed: every secret follows from a public number; this run protects nothing",
  "synthetic-data": "  synthetic-data: the rows are made up and describe no patient",
  "in-process":
    "  in-process: everybody took part in one process, in memory: the same protocol and bytes, but nobody was apart",
  "exact-metrics":
    "  exact-metrics: each facility's own figures on its held-out rows have no noise and are outside its privacy budget",
}

/** What the noise costs, beside the same study without it on the same patients. */
const costText = ({ metrics, withoutNoise }: DemoReport): readonly string[] => {
  const [noisy, quiet] = [metrics.mean.auc, withoutNoise?.mean.auc ?? null]
  if (noisy === null || quiet === null) return []
  const costs = quiet - noisy
  return [
    `  The noise ${costs < 0 ? "happens to gain" : "costs"} ${Math.abs(costs).toFixed(3)} of the mean AUC here: ${noisy.toFixed(3)} with it, ${quiet.toFixed(3)} without.`,
  ]
}

const privacyText = (report: DemoReport): readonly string[] => {
  const { budget, privacy, seed } = report
  return budget === null
    ? [
        "Differential privacy is off: sums over facilities are all that is opened, but the model itself carries no bound",
        "on what it tells of one patient.",
      ]
    : [
        `What was spent of the patients' privacy, of epsilon ${budget.epsilon} (delta ${budget.delta}) at each facility`,
        ...privacy
          .slice(0, SHOWN)
          .map(
            ({ facility, epsilon }) =>
              `  ${facility.padEnd(34)} epsilon ${epsilon === null ? "none" : epsilon.toFixed(3)}`,
          ),
        ...(report.noise === null ? [] : [`  The noise multiplier is ${noiseWords(report.noise)}.`]),
        ...costText(report),
        "  One patient more or less changes the odds of any model by a factor of at most e^epsilon, except with probability",
        "  delta. A patient of several facilities has the sum of what they spent.",
        ...(seed === null
          ? []
          : ["  With a public seed the noise can be recomputed: this is what it would cost were it secret."]),
      ]
}

/** The report for a person. */
export const reportText = (report: DemoReport): string => {
  const { metrics, personalised, baselines } = report
  const updates = UPDATES[report.protection] ?? "updates, hidden and added unread"
  const lines = [
    "",
    `Study "${report.study}": ${report.rounds.length} rounds, ${report.strategy}${report.proximalMu === 0 ? "" : ` (mu ${report.proximalMu})`}, updates protected by ${report.protection}, ${report.seconds.toFixed(1)} s`,
    ...report.marks.map((mark) => MARKS[mark] ?? `  ${mark}`),
    ...(report.ended === null ? [] : [`  ${report.ended}`]),
    "",
    "How well it does on rows held out    accuracy balanced AUC",
    ...metrics.facilities.slice(0, SHOWN).map((facility) => row(facility.name, facility)),
    ...(metrics.facilities.length > SHOWN
      ? [`  (and ${metrics.facilities.length - SHOWN} more; --format json has them all)`]
      : []),
    row("federated model, mean", metrics.mean),
    ...(report.withoutNoise ? [row("the same without noise, mean", report.withoutNoise.mean)] : []),
    ...(personalised
      ? [
          row(
            report.strategy === "ditto" ? "each facility's own model, mean" : "after local fine-tuning, mean",
            personalised.mean,
          ),
        ]
      : []),
    row("each facility by itself, mean", baselines.localOnly.mean),
    row(
      report.study === "heart" ? "pooled, as published, mean" : "all rows in one place, mean",
      baselines.pooled.mean,
    ),
    ...(report.study === "heart" ? [row("pooled, on one scale, mean", baselines.pooledOneScale.mean)] : []),
    row("always the facility's usual answer", baselines.constant.majority.mean),
    row('always "ill"', baselines.constant.positive.mean),
    "  (accuracy alone rewards a constant answer; read it beside balanced accuracy and AUC)",
    ...subgroupText(report.subgroups, SHOWN),
    ...figuresText(report.figures),
    ...(report.images === null ? [] : imageReportText(report.images)),
    "",
    "What crossed the edges, per round",
    `  facilities sent in all               ${sumOver(report, (b) => b.facilityUp)}`,
    `    ${updates.padEnd(35)}${sumOver(report, (b) => b.fogs.update + b.direct.update)}`,
    `    sealed shares, relayed unread      ${sumOver(report, (b) => b.fogs.relayed + b.direct.relayed)}`,
    `    answers for certified sums         ${sumOver(report, (b) => b.fogs.opening + b.direct.opening)}`,
    `    signatures and other metadata      ${sumOver(report, (b) => b.fogs.metadata + b.direct.metadata)}`,
    `  addressed to the leader              ${sumOver(report, (b) => b.leaderIn)}`,
    `  relayed by the leader                ${sumOver(report, (b) => b.leader.relayed)}`,
    "",
    "What was checked",
    `  the leader's log: ${report.audit.events} events, signatures and chain; ${report.audit.certifiedSums} sums opened, each over`,
    `  a list that the facilities certified; every model recomputed: ${report.audit.verified ? "all hold" : "THEY DO NOT HOLD"}`,
    `  model hash  ${report.modelHash}`,
    `  log head    ${report.logHead}`,
    ...(report.chaos === null
      ? []
      : [
          `  killed by SIGKILL and started again: ${report.chaos.kills.map(({ name, pid }) => `${name} (${pid})`).join(", ")}`,
          `  model of the same study, undisturbed: ${report.chaos.undisturbedHash.slice(0, 16)}..., ${report.chaos.same ? "the same" : "ANOTHER ONE"}`,
        ]),
    "",
    ...privacyText(report),
    "",
    ...(report.explained ?? []),
    `Everything is in ${report.folder}`,
    `  to delete it: rm -r "${report.folder}"`,
    "",
  ]
  return `${lines.join("\n")}\n`
}
