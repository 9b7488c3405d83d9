import { resolve } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { exportModel, listModels, modelCard, releaseModel } from "@consilium/node/models/leader-models"
import { modelCardText } from "@consilium/node/models/model-card-text"
import type { ModelPick } from "@consilium/node/models/model-log"
import { storeError, writeFileAtomic } from "@consilium/node/store/files"
import { columns, type Format, print } from "./printed.js"

interface About {
  readonly config: string
  readonly study?: string
  readonly format: Format
}
type Picked = About & ModelPick

export const modelList = async (options: About): Promise<void> => {
  const list = await listModels(options)
  print(options.format, list, [
    `Models of the study ${list.study.name} (${list.study.id.slice(0, 16)}, ${list.study.state}):`,
    ...columns(
      ["  round", "closed at", "facilities", "hash", ""],
      list.models.map(({ round, closedAt, facilities, hash, released }) => [
        `  ${round}`,
        closedAt,
        String(facilities.length),
        hash,
        released ? "in use" : "",
      ]),
    ),
    ...(list.models.length === 0 ? ["  none yet: no round is closed"] : []),
    ...list.releases.map(
      ({ at, round, by, reason }) => `  ${at}  ${by} released the model of round ${round}: ${reason}`,
    ),
  ])
}

const figure = (value: number | null): string => (value === null ? "-" : value.toFixed(3))

export const modelShow = async (options: Picked): Promise<void> => {
  const { round, hash } = options
  const { study, model, metrics, marks, releases } = await modelCard(options, { round, hash })
  print(options.format, { study, model, metrics, marks, releases }, [
    `The model of round ${model.round} of the study ${study.name}${model.released ? ", in use" : ""}`,
    `  hash        ${model.hash}`,
    `  closed at   ${model.closedAt}`,
    `  kind        ${model.kind}, ${model.parameters} parameters, ${model.features.length === 0 ? "on pixels" : `${model.features.length} features`}`,
    `  facilities  ${model.facilities.join(", ")}`,
    `  marks       ${marks.length === 0 ? "none" : marks.join(", ")}`,
    ...(metrics.facilities.length === 0
      ? ["  No facility reports figures."]
      : columns(
          ["  tested by", "rows", "accuracy", "balanced", "AUC"],
          [
            ...metrics.facilities.map(({ facility, rows, accuracy, balancedAccuracy, auc }) => [
              `  ${facility}`,
              String(rows),
              figure(accuracy),
              figure(balancedAccuracy),
              figure(auc),
            ]),
            [
              "  mean",
              "",
              figure(metrics.mean.accuracy),
              figure(metrics.mean.balancedAccuracy),
              figure(metrics.mean.auc),
            ],
          ],
        )),
  ])
}

export const modelExport = async (options: Picked & { readonly to: string }): Promise<void> => {
  const { round, hash } = options
  const exported = await exportModel(options, { round, hash }, options.to)
  print(options.format, exported, [
    `${exported.file}: the model of round ${exported.round} of the study ${exported.study}, ${exported.bytes} bytes; its hash was checked.`,
    `  model hash    ${exported.hash}`,
    `  file SHA-256  ${exported.sha256}`,
  ])
}

export const modelCardOut = async (options: Picked & { readonly to?: string }): Promise<void> => {
  const { round, hash, to } = options
  const card = await modelCard(options, { round, hash })
  const text = modelCardText(card)
  if (to !== undefined)
    await writeFileAtomic(resolve(to), utf8(text)).catch((error) => {
      throw storeError(error, `write ${to}`)
    })
  print(options.format, card, [
    to === undefined ? text.trimEnd() : `${to}: the card of the model of round ${card.model.round}.`,
  ])
}

export const modelRollback = async (
  options: About & { readonly round: number; readonly by: string; readonly reason: string },
): Promise<void> => {
  const { round, by, reason } = options
  const released = await releaseModel(options, { round, by, reason })
  print(options.format, released, [
    `The model of round ${released.round} is in use now; the decision is in the study's log.`,
    `  model hash  ${released.hash}`,
  ])
}
