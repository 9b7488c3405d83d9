import { readFile } from "node:fs/promises"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { attemptName } from "@consilium/federation/purpose"
import { startedSchema } from "@consilium/node/api/schemas"
import type { StudyView } from "@consilium/node/api/study-view"
import { privacyConfigSchema, privacyTerms } from "@consilium/node/config/privacy-config"
import { readConfig } from "@consilium/node/config/yaml-file"
import { evaluationText, figuresText } from "../demo/figures-text.js"
import { columns, type Format, print } from "./printed.js"
import { type Call, callLeader, type Leader } from "./study-api.js"
import { allStudies, studyNamed, viewOf } from "./study-named.js"

type Asking = Leader & { readonly format: Format }

interface Wanted {
  readonly privacy?: string
  readonly file?: string
  readonly privacyConfig?: string
}

const bodyOf = async ({ privacy: kind, privacyConfig, file = "" }: Wanted): Promise<Call> => {
  const privacy = privacyConfig === undefined ? kind : await readConfig(privacyConfigSchema, privacyConfig)
  if (privacy !== undefined) {
    // what cannot be is found here, with the file at hand
    if (typeof privacy !== "string") privacyTerms(privacy)
    return {
      method: "POST",
      path: "/api/training/start",
      body: { type: "application/json", bytes: utf8(JSON.stringify({ privacy })) },
    }
  }
  const bytes = await readFile(file).catch((cause) => {
    throw new ConsiliumError("config/unreadable", `The file ${file} cannot be read.`, { cause })
  })
  return { method: "POST", path: "/v1/studies", body: { type: "application/yaml", bytes } }
}

export const studyStart = async (options: Asking & Wanted): Promise<void> => {
  const started = await callLeader(options, await bodyOf(options), startedSchema)
  print(options.format, started, [
    `The study ${started.name} has started.`,
    `  id  ${started.id}`,
    `  consilium study status --leader ${options.leader} --study ${started.id.slice(0, 16)}`,
  ])
}

export const studyList = async (options: Asking): Promise<void> => {
  const list = await allStudies(options)
  print(
    options.format,
    list,
    columns(
      ["study", "id", "state", "rounds closed", "protection", "events", "updated"],
      list.studies.map((study) => [
        study.name,
        study.id.slice(0, 16),
        study.state,
        `${study.closedRounds} of ${study.plannedRounds}`,
        study.protection,
        String(study.events),
        study.updatedAt ?? "",
      ]),
    ),
  )
}

const underWay = ({ state, rounds, keys, figures }: StudyView): string => {
  if (state !== "running") return "nothing"
  const ceremony = keys?.ceremonies.find(({ endedAt }) => endedAt === null)
  const counting = figures.attempts.find(({ endedAt }) => endedAt === null)
  if (counting !== undefined && ceremony === undefined) return `${attemptName(counting)}, ${counting.phase}`
  return ceremony === undefined
    ? `round ${rounds.at(-1)?.round}, ${rounds.at(-1)?.phase}`
    : `new keys before round ${ceremony.round}, ${ceremony.phase}`
}

const figure = (value: number | null): string => (value === null ? "-" : value.toFixed(3))

export const studyStatus = async (options: Asking & { readonly study?: string }): Promise<void> => {
  const found = await studyNamed(options, options.study)
  const view = await viewOf(options, found.id)
  const closed = view.rounds.filter(({ phase }) => phase === "closed")
  const last = closed.at(-1)
  print(options.format, view, [
    `The study ${view.name} (${view.id}) is ${view.state}${view.reason === null ? "" : `: ${view.reason}`}`,
    `  rounds        ${closed.length} of ${view.plannedRounds} closed`,
    `  under way     ${underWay(view)}`,
    `  participants  ${view.participants.filter(({ role, leftAfterRound }) => role === "facility" && leftAfterRound === null).length} facilities`,
    `  model         ${last?.modelHash ?? "none yet"}`,
    `  marks         ${view.marks.length === 0 ? "none" : view.marks.join(", ")}`,
    ...(last === undefined || last.metrics.length === 0
      ? []
      : columns(
          ["  tested by", "rows", "accuracy", "balanced", "AUC"],
          last.metrics.map(({ facility, rows, accuracy, balancedAccuracy, auc }) => [
            `  ${facility}`,
            String(rows),
            figure(accuracy),
            figure(balancedAccuracy),
            figure(auc),
          ]),
        )),
    ...evaluationText(view.figures.evaluations),
  ])
}

/** What was counted of all facilities' patients together. */
export const studyFigures = async (options: Asking & { readonly study?: string }): Promise<void> => {
  const found = await studyNamed(options, options.study)
  const { name, id, figures } = await viewOf(options, found.id)
  const lines = figuresText(figures)
  print(options.format, { study: { name, id }, ...figures }, [
    `The study ${name} (${id})`,
    ...(lines.length === 0 ? ["has opened no statistics and no evaluations."] : lines),
  ])
}
