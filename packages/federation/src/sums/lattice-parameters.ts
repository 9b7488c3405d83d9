import { ConsiliumError } from "@consilium/base/errors"
import { chooseMaskedParameters, MaskedParameters } from "@consilium/lattice/masked/masked-parameters"
import type { SumContext } from "@consilium/lattice/sums/sum-context"
import { type Choice, chooseSumParameters } from "@consilium/lattice/threshold/choose-parameters"
import type { Ceremony } from "@consilium/lattice/threshold/key-check"
import {
  LEAST_STATISTICAL_BITS,
  ThresholdParameters,
} from "@consilium/lattice/threshold/threshold-parameters"
import { openingThreshold, type Study, studyDigest, valueBound, valueCount } from "../study.js"
import type { SumSetting } from "./secure-sum.js"

/** Values of one polynomial at the smallest degree that sums use: bounds the polynomials of a vector from above. */
const LEAST_CAPACITY = 4096

/** Most polynomials of one update, whatever parameters are chosen. */
export const polynomialsOf = (values: number): number => Math.max(1, Math.ceil(values / LEAST_CAPACITY))

const demandOf = (study: Study, facilities: number) => ({
  facilities,
  threshold: openingThreshold(study, facilities),
  values: valueCount(study),
  largest: valueBound(study),
})

/** The least b with n + 1 <= 2^b. */
const bitLength = (n: number): number => 32 - Math.clz32(n)

const choiceOf = (study: Study, facilities: number): Choice<object> => {
  const demand = demandOf(study, facilities)
  if (study.protection === "masked") return chooseMaskedParameters(demand)
  const openings = study.keys?.openings ?? 1
  return chooseSumParameters({
    ...demand,
    form: study.protection === "bfv" ? "bfv" : "ckks",
    leastDegree: study.ring?.degree ?? 0,
    leastModulusBits: study.ring?.modulusBits ?? 0,
    leastDeltaBits: study.ring?.scaleBits ?? 0,
    polynomialsPerEpoch: facilities + openings * polynomialsOf(demand.values),
    // a dishonest leader can name other openers to each honest facility and so see up to n - t + 1 floodings of one sum
    statisticalBits: LEAST_STATISTICAL_BITS + bitLength(facilities - demand.threshold),
  })
}

const MOST_KEPT = 16
const kept = new Map<string, ThresholdParameters | MaskedParameters | string>()

/** Parameters follow from public numbers alone; making their tables takes a while, so the last few are kept. */
const made = (study: Study, facilities: number): ThresholdParameters | MaskedParameters | string => {
  const { threshold, values, largest } = demandOf(study, facilities)
  const { degree, modulusBits, scaleBits } = study.ring ?? {}
  const asked = [study.keys?.openings, degree, modulusBits, scaleBits]
  const name = [study.protection, facilities, threshold, values, largest, ...asked].join("/")
  const before = kept.get(name)
  if (before !== undefined) return before
  const { literal, explanation } = choiceOf(study, facilities)
  const fresh =
    literal === null
      ? ((explanation.at(-2) ?? explanation.at(-1)) as string)
      : study.protection === "masked"
        ? MaskedParameters.of(literal as MaskedParameters["literal"])
        : ThresholdParameters.of(literal as ThresholdParameters["literal"])
  const [oldest] = kept.keys()
  if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  kept.set(name, fresh)
  return fresh
}

/** Why there are no parameters for a study's sums among so many facilities, or null. */
export const latticeProblem = (study: Study, facilities: number): string | null => {
  const found = made(study, facilities)
  return typeof found === "string" ? found : null
}

/** How a study's parameters follow from its numbers, line by line. */
export const explainLattice = (study: Study, facilities: number): readonly string[] =>
  choiceOf(study, facilities).explanation

const noParameters = (message: string): never => {
  throw new ConsiliumError("lattice/no-parameters", message)
}

export const thresholdParameters = ({
  study,
  directory,
}: Pick<SumSetting, "study" | "directory">): ThresholdParameters => {
  const found = made(study, directory.facilities.length)
  return found instanceof ThresholdParameters ? found : noParameters(String(found))
}

export const maskedParameters = ({
  study,
  directory,
}: Pick<SumSetting, "study" | "directory">): MaskedParameters => {
  const found = made(study, directory.facilities.length)
  return found instanceof MaskedParameters ? found : noParameters(String(found))
}

/** Which sum an attempt is, and which ceremony its keys come from, as the lattice package names them. */
export const sumContextOf = ({ study, epoch, spec, attempt }: SumSetting): SumContext => ({
  study: studyDigest(study),
  epoch,
  spec,
  attempt,
})
export const ceremonyOf = ({ study, epoch }: SumSetting): Ceremony => ({ study: studyDigest(study), epoch })
