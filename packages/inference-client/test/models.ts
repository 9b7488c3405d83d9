import { type CompiledModel, compile } from "@consilium/inference/compile/compile"
import { plainLogit, type TrainedModel } from "@consilium/inference/model/model"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import {
  HEART,
  HEART_LINEAR,
  HEART_SCALING,
  randomPatient,
  squareNetwork,
  testRandom,
} from "../../inference/test/heart.js"

/** The kinds of plans that a client meets: without and with a key of an asker, of which the last has one of megabytes. */
export const KINDS = ["shared", "kept", "network", "rotated"] as const
export type Kind = (typeof KINDS)[number]

const NETWORK = squareNetwork(testRandom("network"), 13, 16, 0.03)
const trainedOf = (kind: Kind): TrainedModel =>
  kind === "network" || kind === "rotated" ? NETWORK : HEART_LINEAR

export const compiledOf = (kind: Kind, version = "1", model = "heart"): CompiledModel =>
  compile(trainedOf(kind), HEART, {
    model,
    version,
    scaling: HEART_SCALING,
    weights: kind === "kept" ? "kept" : "shared",
    ...(kind === "rotated" ? { packing: "slots-by-feature" } : {}),
  })

/** The logit of the model itself. */
export const plainOf = (kind: Kind, patient: Patient): number =>
  plainLogit(trainedOf(kind), HEART_SCALING, new PatientReader(HEART).columns(patient))

export const somePatients = (label: string, count: number): readonly Patient[] => {
  const random = testRandom(label)
  return Array.from({ length: count }, () => randomPatient(random))
}
export const [SOMEBODY] = somePatients("somebody", 1) as [Patient]
