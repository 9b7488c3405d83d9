import type { Evaluations } from "@consilium/lattice/ring/ring"
import { type Seed, seedOf } from "@consilium/lattice/ring/seeds"
import {
  type GaloisKey,
  groupCount,
  type KeyRow,
  type RelinearisationKey,
  type SwitchFrom,
  type SwitchingKey,
  switchingRow,
} from "@consilium/lattice/rlwe/switching-key"
import type { FeatureStage, PreparedProgram } from "../plan/feature-stages.js"
import {
  askingKeyId,
  askingKeyParts,
  askingKeySeed,
  type EvaluationKey,
  newAskingKeyBytes,
  type StageKeys,
} from "./asking-key.js"
import { malformed } from "./head.js"
import type { PreparedPlan } from "./prepared-plan.js"

/* Of every key the rows' first halves travel, key after key and stage after stage; the second halves come from the server's nonce. */

/** The keys of a stage, in the order in which they are sent. */
export const stageSwitches = ({ exponents, relinearises }: FeatureStage): readonly SwitchFrom[] => [
  ...(relinearises ? [{ type: "relinearisation" as const }] : []),
  ...exponents.map((exponent) => ({ type: "galois" as const, exponent })),
]

/** The seed of one key's second halves. */
export const switchSeed = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  stage: number,
  from: SwitchFrom,
): Seed => {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, stage)
  view.setUint32(4, from.type === "galois" ? from.exponent : 0)
  return seedOf("inference-switch", askingKeySeed(prepared, nonce), new Uint8Array(view.buffer))
}

/** The program of a plan that has one. */
export const programOf = ({ program }: PreparedPlan): PreparedProgram =>
  program ?? malformed("A plan without layers in slots has no keys for evaluating.")

export const evaluationKeyToBytes = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  stages: readonly (readonly SwitchingKey[])[],
): Uint8Array => {
  const { bytes, parts } = newAskingKeyBytes(prepared, nonce)
  for (const keys of stages)
    for (const { parameters, rows } of keys)
      for (const { b } of rows) parameters.keyRing.pack(b, parts.take(parameters.keyRing.packedLength))
  return bytes
}

/**
 * The keys of their bytes. What is set aside is the size of the plan's keys, whatever is sent.
 * @throws {ConsiliumError} as `askingKeyParts`, and "lattice/malformed" if a number is no residue
 */
export const evaluationKeyFromBytes = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  bytes: Uint8Array,
): EvaluationKey => {
  const parts = askingKeyParts(prepared, nonce, bytes)
  const stages = programOf(prepared).stages.map((stage, at): StageKeys => {
    const { parameters } = stage
    const { keyRing } = parameters
    const rowsOf = (from: SwitchFrom): { readonly rows: readonly KeyRow[]; readonly seed: Seed } => {
      const seed = switchSeed(prepared, nonce, at, from)
      const firsts = Array.from(
        { length: groupCount(parameters) },
        (): Evaluations => keyRing.unpackEvaluations(parts.take(keyRing.packedLength)),
      )
      return { rows: firsts.map((b, row) => ({ b, a: switchingRow(parameters, seed, row) })), seed }
    }
    let relinearisation: RelinearisationKey | null = null
    const galois: GaloisKey[] = []
    for (const from of stageSwitches(stage)) {
      const key = { parameters, ...rowsOf(from) }
      if (from.type === "galois") galois.push({ from, ...key })
      else relinearisation = { from, ...key }
    }
    return { relinearisation, galois }
  })
  return { id: askingKeyId(bytes), stages }
}
