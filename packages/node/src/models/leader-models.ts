import { resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { concatBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import type { z } from "zod"
import { callAdmin } from "../admin/client.js"
import { type StoredStudy, withStoredStudy } from "../audit-sources.js"
import { placeOf } from "../doctor/place.js"
import { storeError, writeFileAtomic } from "../store/files.js"
import { modelCardOf } from "./model-card.js"
import {
  checkedModel,
  type ModelPick,
  modelFileOf,
  modelListOf,
  pickModel,
  pieceOf,
  readHistory,
  type StudyLog,
} from "./model-log.js"
import {
  type Decision,
  decisionSchema,
  type ModelCard,
  type ModelList,
  modelCardSchema,
  modelListSchema,
  modelPieceSchema,
  type Released,
  releasedSchema,
} from "./model-schemas.js"
import { releaseInFolder } from "./stopped-leader.js"

/** Whose models: those of a study of the leader with this configuration file. */
export interface LeaderStudy {
  readonly config: string
  /** The study's name, or the beginning of its id; may be left out where there is one study. */
  readonly study?: string | undefined
  /** How long to wait for a leader that holds its folder and takes no commands yet. */
  readonly patienceMs?: number
}

const PATIENCE_MS = 5_000
const PAUSE_MS = 100

/** Asks the leader if it runs; where none runs, opens the study in its locked folder. */
export const askedOrOpened = async <T>(
  { config, study, patienceMs = PATIENCE_MS }: LeaderStudy,
  request: { readonly command: string; readonly args: object; readonly result: z.ZodType<T> },
  stopped: (stored: StoredStudy) => Promise<T>,
): Promise<T> => {
  const { role, name, dataFolder } = await placeOf(config)
  if (role !== "leader")
    throw new ConsiliumError("config/invalid", `${config} is of the ${role} ${name}, not of a leader.`, {
      remedy: "Give the leader's own leader.yaml: models are in its log.",
    })
  const args = { ...request.args, ...(study === undefined ? {} : { study }) }
  for (const until = performance.now() + patienceMs; ; await sleep(PAUSE_MS)) {
    try {
      return await callAdmin(dataFolder, request.command, args, { result: request.result })
    } catch (error) {
      if (!isConsiliumError(error, "admin/not-running")) throw error
    }
    try {
      return await withStoredStudy(config, study ?? null, stopped)
    } catch (error) {
      // a leader that is starting holds the folder before it can be asked
      if (!isConsiliumError(error, "store/locked") || performance.now() > until) throw error
    }
  }
}

/** The log of a study in a leader's opened folder. */
export const storedLog = ({ study, directory, authorityKey, store }: StoredStudy): StudyLog => ({
  study,
  first: directory,
  authorityKey,
  entries: () => store.entries(),
})

/**
 * The models of a study's closed rounds, and which of them is in use: from the leader if it runs, else from its folder.
 * @throws {ConsiliumError} "admin/no-such-study", "audit/no-study", "store/locked"
 */
export const listModels = (of: LeaderStudy): Promise<ModelList> =>
  askedOrOpened(of, { command: "models", args: {}, result: modelListSchema }, async (stored) =>
    modelListOf(await readHistory(storedLog(stored))),
  )

/** @throws {ConsiliumError} "model/not-found" and what `listModels` throws */
export const modelCard = (of: LeaderStudy, pick: ModelPick): Promise<ModelCard> =>
  askedOrOpened(of, { command: "model-card", args: pick, result: modelCardSchema }, async (stored) =>
    modelCardOf(await readHistory(storedLog(stored)), stored, pick),
  )

export interface ExportedModel {
  readonly study: string
  readonly round: number
  readonly hash: string
  readonly file: string
  readonly bytes: number
  /** Of the file. */
  readonly sha256: string
}

/**
 * Writes a model into a file, once it is seen to be the one that its hash names. The file appears whole or not at all.
 * @throws {ConsiliumError} "model/not-found", "model/wrong-hash" and what `listModels` throws
 */
export const exportModel = async (of: LeaderStudy, pick: ModelPick, to: string): Promise<ExportedModel> => {
  const list = await listModels(of)
  const { round, hash } = pickModel(list, pick)
  const file = checkedModel(await modelFile({ ...of, study: list.study.id }, round), hash)
  try {
    await writeFileAtomic(resolve(to), file)
  } catch (error) {
    throw storeError(error, `write ${to}`)
  }
  return { study: list.study.name, round, hash, file: to, bytes: file.length, sha256: toHex(sha256(file)) }
}

/** A running leader gives the file in pieces, since its answers are single lines. */
const modelFile = async (of: LeaderStudy, round: number): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = []
  for (let offset = 0; ; ) {
    const { bytes, base64 } = await askedOrOpened(
      of,
      { command: "model-piece", args: { round, offset }, result: modelPieceSchema },
      async (stored) =>
        pieceOf(await modelFileOf(storedLog(stored), round), offset, Number.POSITIVE_INFINITY),
    )
    const piece = new Uint8Array(Buffer.from(base64, "base64"))
    pieces.push(piece)
    offset += piece.length
    if (offset >= bytes || piece.length === 0) return concatBytes(...pieces)
  }
}

/**
 * Makes the model of a closed round the one in use, as a logged decision: by the leader if it runs, else in its folder.
 * @throws {ConsiliumError} "model/not-found" and what `listModels` throws
 */
export const releaseModel = (of: LeaderStudy, decision: Decision): Promise<Released> => {
  const checked = decisionSchema.safeParse(decision)
  if (!checked.success)
    throw new ConsiliumError(
      "model/bad-decision",
      `A model cannot be released: ${checked.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}.`,
    )
  return askedOrOpened(
    of,
    { command: "release-model", args: checked.data, result: releasedSchema },
    (stored) => releaseInFolder(of.config, stored, checked.data),
  )
}
