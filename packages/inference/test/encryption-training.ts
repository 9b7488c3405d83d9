import { startCursor } from "@consilium/learning/batches"
import { auc } from "@consilium/learning/metrics"
import { initialNetwork, type Network } from "@consilium/learning/network/network"
import { ADAM } from "@consilium/learning/network/optimiser"
import { networkOutputs } from "@consilium/learning/network/predict"
import { trainNetwork } from "@consilium/learning/network/train-network"
import { publicStream } from "@consilium/learning/public-stream"
import type { LabelledRows } from "@consilium/records/rows"
import { type EncryptableActivation, encryptableNetwork } from "../src/training/activations.js"
import { type EncryptionResult, trainForEncryption } from "../src/training/train-for-encryption.js"
import { heartRanges } from "./heart-rows.js"

export const examplesOf = ({ rows, features, labels }: LabelledRows) => ({
  rows,
  inputs: Float32Array.from(features),
  targets: Float32Array.from(labels),
})

/** The AUC of a network's logits. */
export const aucOf = (network: Network, rows: LabelledRows): number =>
  auc(Float64Array.from(networkOutputs(network, rows.rows, Float32Array.from(rows.features))), rows.labels)!

/** What both trainings of a seed share: 13-16-1, Adam, 2,000 steps of 32 rows, the rate from .01 along a cosine to 0. */
const settingsOf = (train: LabelledRows, activation: EncryptableActivation, seed: string, steps: number) => ({
  network: initialNetwork(encryptableNetwork(13, 16, activation), publicStream(seed, "initial"), "glorot"),
  examples: examplesOf(train),
  steps,
  batchSize: 32,
  optimiser: ADAM,
  schedule: { kind: "cosine" as const, rate: 0.01, floor: 0, steps: Math.max(steps, 1) },
  cursor: startCursor(),
  random: publicStream(seed, "order"),
})

export const trainedFreely = (
  train: LabelledRows,
  activation: EncryptableActivation,
  seed: string,
  steps = 2000,
): Network => trainNetwork(settingsOf(train, activation, seed, steps)).network

export const LOGIT_LIMIT = 32

export const trainedWithin = (
  train: LabelledRows,
  activation: EncryptableActivation,
  seed: string,
  steps = 2000,
): EncryptionResult =>
  trainForEncryption({
    ...settingsOf(train, activation, seed, steps),
    ranges: heartRanges(),
    limits: { activation: activation.interval, logit: LOGIT_LIMIT },
  })
