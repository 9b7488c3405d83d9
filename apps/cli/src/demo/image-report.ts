import { toHex } from "@consilium/base/bytes"
import type { LogEntry } from "@consilium/federation/log"
import { isNetwork } from "@consilium/federation/network-training"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { type Study, studyDigest } from "@consilium/federation/study"
import { decodeNetworkModel } from "@consilium/learning/network/network-file"
import { messageOf } from "@consilium/node/api/logged"
import { scaledPixels } from "@consilium/node/image-records"
import type { Sides } from "@consilium/node/local-records"
import { encodeIdx, readIdxImages } from "@consilium/records/images/idx"
import { type LabelledRows, positiveCount } from "@consilium/records/rows"
import { type Figures, rowOf } from "./baselines.js"
import { CHEST_CLASSES, chestTestImages } from "./chest-images.js"
import { type ImageModels, imageFigures } from "./image-baselines.js"

interface Counts {
  readonly normal: number
  readonly pneumonia: number
}

/** What a demo on images tells beside the rest: who has which, and everybody's models on images that nobody was dealt. */
export interface ImageReport {
  readonly partition: readonly { readonly name: string; readonly train: Counts; readonly heldOut: Counts }[]
  readonly test: {
    readonly images: number
    readonly federated: Figures
    readonly pooled: Figures
    readonly localOnly: ReturnType<typeof rowOf>
  }
  /** The model of each round on the same images, and what each hospital had spent by then; null without noise. */
  readonly curve: readonly {
    readonly round: number
    readonly auc: number | null
    readonly epsilon: number | null
  }[]
}

/** The global model of each round, from the leader's log. */
export type RoundModels = ReadonlyMap<number, Float64Array>
export const roundModels = async (study: Study, entries: AsyncIterable<LogEntry>): Promise<RoundModels> => {
  const models = new Map<number, Float64Array>()
  if (!isNetwork(study)) return models
  const id = toHex(studyDigest(study))
  for await (const entry of entries) {
    const message = messageOf(entry)?.message
    if (message?.type !== "candidate") continue
    const { network, provenance } = decodeNetworkModel(message.model)
    if (provenance.study === id) models.set(provenance.round, Float64Array.from(network.parameters))
  }
  return models
}

const countsOf = (rows: LabelledRows): Counts => {
  const pneumonia = positiveCount(rows)
  return { normal: rows.rows - pneumonia, pneumonia }
}

const testRows = async (data: string, study: Study): Promise<LabelledRows> => {
  const { images, labels } = await chestTestImages(data)
  const files = { name: "the test images", images: encodeIdx(images), labels: encodeIdx(labels) }
  const {
    count,
    height,
    width,
    channels,
    pixels,
    labels: marks,
    patients,
  } = readIdxImages(files, CHEST_CLASSES)
  const rows: LabelledRows = {
    names: [],
    columns: height * width * channels,
    rows: count,
    features: Float64Array.from(pixels),
    labels: Uint8Array.from(marks),
    patients,
  }
  return scaledPixels(rows, study)
}

export const imageReport = async (
  study: Study,
  data: string,
  records: ReadonlyMap<string, Sides>,
  models: ImageModels,
  rounds: RoundModels,
): Promise<ImageReport> => {
  const test = await testRows(data, study)
  const figures = (parameters: Float64Array): Figures => imageFigures(study, parameters, test)
  const inOrder = [...rounds].sort(([a], [b]) => a - b)
  const last = inOrder.at(-1)?.[1]
  const none: Figures = { accuracy: null, balancedAccuracy: null, auc: null }
  return {
    partition: [...records].map(([name, sides]) => ({
      name,
      train: countsOf(sides.train),
      heldOut: countsOf(sides.holdOut),
    })),
    test: {
      images: test.rows,
      federated: last === undefined ? none : figures(last),
      pooled: figures(models.pooled),
      localOnly: rowOf([...models.localOnly].map(([name, parameters]) => ({ name, ...figures(parameters) }))),
    },
    curve: inOrder.map(([round, parameters]) => ({
      round,
      auc: figures(parameters).auc,
      epsilon: isPrivate(study) ? epsilonAfter(study, round) : null,
    })),
  }
}

const figure = (value: number | null): string => (value === null ? "  -  " : value.toFixed(3))
const line = (label: string, { accuracy, balancedAccuracy, auc }: Figures): string =>
  `  ${label.padEnd(34)} ${figure(accuracy)}   ${figure(balancedAccuracy)}   ${figure(auc)}`
const share = ({ normal, pneumonia }: Counts): string =>
  `${((100 * Math.max(normal, pneumonia)) / Math.max(1, normal + pneumonia)).toFixed(0)} %`

const WIDTHS = [8, 11, 14, 18, 11]
const dealtLine = (name: string, cells: readonly (string | number)[]): string =>
  `  ${name.padEnd(14)}${cells.map((cell, i) => String(cell).padStart(WIDTHS[i] as number)).join("")}`

/** Rounds that the text shows; JSON has them all. */
const SHOWN_ROUNDS = 20

/** The lines of the report that are about images. */
export const imageReportText = ({ partition, test, curve }: ImageReport): readonly string[] => {
  const every = Math.ceil(curve.length / SHOWN_ROUNDS)
  const shown = curve.filter((_, i) => (i + 1) % every === 0 || i === curve.length - 1)
  return [
    "",
    "Who was dealt which images (Dirichlet 0.5, seed 42)",
    dealtLine("", ["normal", "pneumonia", "larger class", "held out: normal", "pneumonia"]),
    ...partition.map(({ name, train, heldOut }) =>
      dealtLine(name, [train.normal, train.pneumonia, share(train), heldOut.normal, heldOut.pneumonia]),
    ),
    "",
    `${`On ${test.images} images that nobody was dealt`.padEnd(37)}accuracy balanced AUC`,
    line("federated model", test.federated),
    line("all images in one place", test.pooled),
    line("each hospital by itself, mean", test.localOnly.mean),
    ...test.localOnly.facilities.map((one) => line(`  ${one.name} by itself`, one)),
    "",
    `AUC on the same images after each round${curve.some(({ epsilon }) => epsilon !== null) ? ", and epsilon spent at each hospital" : ""}`,
    ...shown.map(
      ({ round, auc, epsilon }) =>
        `  round ${String(round).padStart(3)}   ${figure(auc)}  ${"#".repeat(Math.max(0, Math.round(60 * ((auc ?? 0.5) - 0.5))))}${epsilon === null ? "" : `  epsilon ${epsilon.toFixed(2)}`}`,
    ),
  ]
}
