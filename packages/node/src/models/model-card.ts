import { toHex } from "@consilium/base/bytes"
import { clippingWords, mechanismWords } from "@consilium/federation/step-words"
import { type Study, strategyName } from "@consilium/federation/study"
import { sumNoiseWords } from "@consilium/federation/sum-words"
import type { MetricsView, StudyView } from "../api/study-view.js"
import { type ModelHistory, type ModelPick, modelListOf, pickModel } from "./model-log.js"
import type { ModelCard, ModelEntry } from "./model-schemas.js"

const PROTECTIONS: Readonly<Record<string, string>> = {
  plain: "Fog nodes add the updates and see each one; the leader sees regional sums only.",
  shamir:
    "Each update left its facility as shares sealed to the other facilities; nothing but the sum over a list that the facilities had signed was opened.",
}

const mean = (figures: readonly (number | null)[]): number | null => {
  const known = figures.filter((figure) => figure !== null)
  return known.length === 0 ? null : known.reduce((sum, figure) => sum + figure, 0) / known.length
}

/** What facilities found with a round's model; with the last round's also at the end of the study. */
const metricsOf = (view: StudyView, round: number): readonly MetricsView[] => {
  const reports = view.rounds.find((one) => one.round === round && one.modelHash !== null)?.metrics ?? []
  const isLast = round === view.rounds.filter(({ modelHash }) => modelHash !== null).at(-1)?.round
  const finals = isLast ? view.finals.flatMap(({ global }) => global ?? []) : []
  const byName = new Map([...reports, ...finals].map((metrics) => [metrics.facility, metrics]))
  return [...byName.values()].sort((a, b) => (a.facility < b.facility ? -1 : 1))
}

/** Facilities test groups of patients once, at the end: on the last round's model. */
const subgroupsOf = (view: StudyView, round: number, lastRound: number): ModelCard["subgroups"] =>
  view.subgroups
    .filter(({ groups }) => round === lastRound && groups.some(({ facilities }) => facilities.length > 0))
    .map(({ feature, groups }) => ({
      feature,
      groups: groups.map(({ group, facilities, all }) => ({ group, facilities: [...facilities], all })),
    }))

/** How the round's model did on all held-out patients together. */
const evaluationOf = ({ figures }: StudyView, round: number): ModelCard["evaluation"] => {
  const found = figures.evaluations.find((one) => one.round === round)
  if (found === undefined) return null
  const { facilities, roc, calibration, ...rest } = found
  return { ...rest, facilities: [...facilities], roc: [...roc], calibration: [...calibration] }
}

const counted = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`

const limitsOf = (
  view: StudyView,
  model: ModelEntry,
  figures: readonly MetricsView[],
  lastRound: number,
  isOff: boolean,
): string[] => {
  const left = view.participants.filter(
    ({ role, leftAfterRound }) =>
      role === "facility" && leftAfterRound !== null && leftAfterRound < model.round,
  )
  const silent = model.facilities.filter((name) => !figures.some(({ facility }) => facility === name))
  const ended = { complete: "", aborted: "The study was aborted.", running: "", waiting: "" }[view.state]
  return [
    "It was tested on held-out rows of the facilities that trained it and on no others: elsewhere it may do worse.",
    "It is no medical device. Whoever uses it answers for its use.",
    ...(view.marks.includes("synthetic-data")
      ? ["The rows are made up and describe no patient: the figures say nothing of real ones."]
      : []),
    ...(view.marks.includes("insecure-seed")
      ? ["Every secret of the run follows from a public number, so no update was protected."]
      : []),
    ...(view.marks.includes("exact-metrics")
      ? [
          "Each facility's own figures on its held-out patients were sent without noise: the privacy budget does not cover them.",
        ]
      : []),
    ...(isOff
      ? ["There is no differential privacy: the model carries no bound on what it tells of one patient."]
      : []),
    ...(silent.length > 0
      ? [
          `${counted(silent.length, "facility reports", "facilities report")} no figures: ${silent.join(", ")}.`,
        ]
      : []),
    ...(left.length > 0
      ? [`What facilities gave before they left stays in it: ${left.map(({ name }) => name).join(", ")}.`]
      : []),
    ...(model.round < lastRound ? [`It is not the newest: round ${lastRound} is closed.`] : []),
    ...(model.released ? [] : ["It is not the model in use."]),
    ...(ended === "" ? [] : [ended]),
    ...(view.state === "running" ? ["The study was still running when this card was made."] : []),
  ]
}

/** What a model of the study is given. */
const inputsOf = ({ model }: Study, view: StudyView): string => {
  if (model.kind !== "network" || model.images === null)
    return counted(view.model.features.length, "feature", "features")
  const [height, width] = model.description.input
  return `an image of ${height} x ${width} pixels (0: ${model.images.classes[0]}, 1: ${model.images.classes[1]})`
}

/** The card of one model of a study: everything about it that the log tells. */
export const modelCardOf = (
  history: ModelHistory,
  { study, authorityKey }: { readonly study: Study; readonly authorityKey: Uint8Array },
  pick: ModelPick,
): ModelCard => {
  const { view, files, trainingRows } = history
  const list = modelListOf(history)
  const model = pickModel(list, pick)
  const lastRound = list.models.at(-1)?.round ?? 0
  const figures = metricsOf(view, model.round)
  const facilities = view.participants
    .filter(({ role, joinedAtRound }) => role === "facility" && joinedAtRound <= model.round)
    .map(({ name, joinedAtRound, leftAfterRound }) => ({
      name,
      joined: joinedAtRound,
      left: leftAfterRound,
      inRound: model.facilities.includes(name),
      testedRows: figures.find(({ facility }) => facility === name)?.rows ?? null,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const { training, server, quantisation } = study
  const authority = toHex(authorityKey)
  return {
    format: "consilium-model-card/1",
    study: list.study,
    model: {
      ...model,
      kind: view.model.kind,
      features: [...view.model.features],
      parameters: view.model.parameters,
      file: files.get(model.round) ?? null,
    },
    releases: list.releases,
    purpose: `It gives the probability of the answer 1 (in the study ${study.name}) from ${inputsOf(study, view)} of one patient.`,
    data: {
      facilities,
      trainingRows: trainingRows.get(model.round) ?? null,
      says:
        quantisation.weights === "exact"
          ? `Records stayed at the facilities. The number of training rows is known in all, not per facility, and counts ${quantisation.largestWeight} of a facility at most.`
          : "Records stayed at the facilities, and so did the numbers of training rows.",
    },
    training: {
      plannedRounds: view.plannedRounds,
      closedRounds: list.models.length,
      localSteps: training.steps,
      batchSize: training.batchSize,
      learningRate: training.learningRate,
      strategy: strategyName(study),
      serverLearningRate: server.learningRate,
      proximalMu: training.proximalMu,
      correction: training.correction,
      ditto: training.ditto,
      serverMomentum: server.strategy === "fedavgm" ? server.beta1 : null,
      clipNorm: quantisation.clipNorm,
    },
    protection: {
      name: study.protection,
      smallest: view.cohort.smallest,
      threshold: view.cohort.threshold,
      says: PROTECTIONS[study.protection] ?? `Updates were protected by ${study.protection}.`,
    },
    privacy: {
      facilities: view.privacy.map(({ facility, epsilon, delta }) => ({ facility, epsilon, delta })),
      says:
        study.privacy === null
          ? "Differential privacy is off."
          : (sumNoiseWords(study) ??
            `Each facility adds ${mechanismWords(study.privacy)} noise to every step (multiplier ${study.privacy.noiseMultiplier}), clips ${clippingWords(study.privacy)}, and may spend epsilon ${study.privacy.epsilon} at delta ${study.privacy.delta} in this study; what each has spent so far stands below.`),
    },
    metrics: {
      facilities: [...figures],
      mean: {
        accuracy: mean(figures.map(({ accuracy }) => accuracy)),
        balancedAccuracy: mean(figures.map(({ balancedAccuracy }) => balancedAccuracy)),
        auc: mean(figures.map(({ auc }) => auc)),
      },
    },
    subgroups: subgroupsOf(view, model.round, lastRound),
    evaluation: evaluationOf(view, model.round),
    marks: list.marks,
    limits: limitsOf(view, model, figures, lastRound, study.privacy === null),
    log: { events: view.log.events, head: view.log.head },
    verify: {
      authority,
      commands: [
        `consilium audit export --config leader.yaml --study ${view.id.slice(0, 16)} --to study.log`,
        `consilium audit verify --file study.log --authority ${authority}`,
        `consilium model export --config leader.yaml --study ${view.id.slice(0, 16)} --round ${model.round} --to model.consilium`,
      ],
    },
  }
}
