import { toHex } from "@consilium/base/bytes"
import { decode, f64Array } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { RELEASED, releaseCodec } from "@consilium/federation/leader-release"
import type { LogEntry } from "@consilium/federation/log"
import { type Directory, openRoster } from "@consilium/federation/roster"
import { MAX_VALUES, type Study, updateLength } from "@consilium/federation/study"
import { modelFileVersion } from "@consilium/learning/model-container"
import { decodeModel, parameterHash } from "@consilium/learning/model-file"
import {
  decodeNetworkModel,
  NETWORK_VERSION,
  networkParameterHash,
} from "@consilium/learning/network/network-file"
import { messageOf } from "../api/logged.js"
import type { StudyView } from "../api/study-view.js"
import { applyEntry, startView, timeOf } from "../api/view-fold.js"
import { nodeSuite } from "../identity/suite.js"
import type { ModelEntry, ModelList, ModelPiece, ReleaseView } from "./model-schemas.js"

/** A study's log, and what it takes to read it. */
export interface StudyLog {
  readonly study: Study
  /** Who was enrolled when the study began. */
  readonly first: Directory
  readonly authorityKey: Uint8Array
  entries(): AsyncIterable<LogEntry>
}

/** What a log tells of a study's models. */
export interface ModelHistory {
  readonly view: StudyView
  readonly releases: readonly ReleaseView[]
  /** By round: the digest and size of its model's file, and the rows that it was trained on, where they are counted. */
  readonly files: ReadonlyMap<number, { readonly sha256: string; readonly bytes: number }>
  readonly trainingRows: ReadonlyMap<number, number>
}

export const readHistory = async (log: StudyLog): Promise<ModelHistory> => {
  const rosters: Directory[] = [log.first]
  const releases: ReleaseView[] = []
  const files = new Map<number, { readonly sha256: string; readonly bytes: number }>()
  const trainingRows = new Map<number, number>()
  let fold = startView({ study: log.study, rosters: () => rosters })
  for await (const entry of log.entries()) {
    const message = messageOf(entry)?.message
    if (message?.type === "roster")
      rosters.unshift(openRoster(nodeSuite, log.authorityKey, message.signed).directory)
    fold = applyEntry(fold, entry)
    const { header, body } = entry
    const round = fold.view.rounds.at(-1)?.round ?? 0
    const isUpdate = fold.figures.underWay === null
    if (header.type === RELEASED) releases.push(releaseView(entry))
    if (header.type === "sum-opened" && isUpdate && log.study.quantisation.weights === "exact")
      trainingRows.set(round, decode(f64Array(MAX_VALUES), body)[updateLength(log.study) - 1] as number)
    if (message?.type === "candidate")
      files.set(round, { sha256: toHex(sha256(message.model)), bytes: message.model.length })
  }
  return { view: fold.view, releases, files, trainingRows }
}

const releaseView = ({ header, body }: LogEntry): ReleaseView => {
  const { round, model, by, reason } = decode(releaseCodec, body)
  return { event: header.seq, at: timeOf(header.at), round, hash: toHex(model), by, reason }
}

/** The models of the closed rounds; the released one is the last unless somebody decided otherwise. */
export const modelListOf = ({ view, releases }: ModelHistory): ModelList => {
  const closed = view.rounds.flatMap(({ round, attempt, modelHash, endedAt, cohort }) =>
    modelHash === null || endedAt === null ? [] : [{ round, attempt, hash: modelHash, endedAt, cohort }],
  )
  const inUse = releases.at(-1)?.round ?? closed.at(-1)?.round
  const models = closed.map(
    ({ round, attempt, hash, endedAt, cohort }): ModelEntry => ({
      round,
      attempt,
      hash,
      closedAt: endedAt,
      facilities: [...cohort].sort(),
      released: round === inUse,
    }),
  )
  return {
    study: { id: view.id, name: view.name, state: view.state },
    marks: [...view.marks],
    models,
    releases: [...releases],
  }
}

/** Which model is meant: that of a round, the one whose hash begins so, or the released one. */
export interface ModelPick {
  readonly round?: number | undefined
  readonly hash?: string | undefined
}

/** @throws {ConsiliumError} "model/not-found" with what there is */
export const pickModel = ({ study, models }: ModelList, { round, hash }: ModelPick): ModelEntry => {
  const rounds =
    models.length === 0
      ? "no round of it is closed yet"
      : `there are those of the rounds ${models[0]?.round} to ${models.at(-1)?.round}`
  const none = (which: string): ConsiliumError =>
    new ConsiliumError("model/not-found", `The study ${study.name} has no model ${which}; ${rounds}.`)
  if (hash !== undefined) {
    // equal models of two rounds have one hash: the later one stands for both
    const fits = models.filter((model) => model.hash.startsWith(hash.toLowerCase()))
    const [found, ...others] = [...new Map(fits.map((model) => [model.hash, model])).values()]
    if (found === undefined) throw none(`whose hash begins with ${hash}`)
    if (others.length > 0)
      throw new ConsiliumError(
        "model/not-found",
        `${others.length + 1} models of the study ${study.name} have hashes that begin with ${hash}.`,
        { remedy: "Give more digits, or the round." },
      )
    return found
  }
  const found = models.find((model) => (round === undefined ? model.released : model.round === round))
  if (found === undefined) throw none(round === undefined ? "yet" : `of round ${round}`)
  return found
}

/** The file of a closed round's model, as every participant was shown it. @throws {ConsiliumError} "model/not-found" */
export const modelFileOf = async (log: StudyLog, round: number): Promise<Uint8Array> => {
  let announced = 0
  let file: Uint8Array | null = null
  for await (const entry of log.entries()) {
    if (entry.header.type !== "announce" && entry.header.type !== "candidate") continue
    const message = messageOf(entry)?.message
    if (message?.type === "announce") announced = message.spec.round
    if (announced > round) break
    if (message?.type === "candidate" && announced === round) file = message.model
  }
  if (file === null)
    throw new ConsiliumError(
      "model/not-found",
      `The log of ${log.study.name} has no model of round ${round}.`,
    )
  return file
}

/** A file's bytes from a place on, as they travel to whoever asks. */
export const pieceOf = (file: Uint8Array, offset: number, most: number): ModelPiece => ({
  bytes: file.length,
  base64: Buffer.from(file.subarray(offset, offset + most)).toString("base64"),
})

const parameterHashOf = (file: Uint8Array): Uint8Array => {
  if (modelFileVersion(file) === NETWORK_VERSION)
    return networkParameterHash(decodeNetworkModel(file).network)
  const { architecture, parameters } = decodeModel(file)
  return parameterHash(architecture, parameters)
}

/**
 * A model's file, if it is the model that its hash names.
 * @throws {ConsiliumError} "model/wrong-hash", "model/unreadable"
 */
export const checkedModel = (file: Uint8Array, hash: string): Uint8Array => {
  const found = toHex(parameterHashOf(file))
  if (found !== hash)
    throw new ConsiliumError(
      "model/wrong-hash",
      `The model's parameters have the hash ${found}, not ${hash}: it is another model.`,
    )
  return file
}
