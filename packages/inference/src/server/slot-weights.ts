import { CkksEncoder } from "@consilium/lattice/ckks/encoder"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { SlotLayer, SlotNetwork } from "../model/integer-model.js"
import { type FeatureLayout, featureSlot } from "../plan/feature-layout.js"
import { type FeatureLayer, weightScale } from "../plan/feature-program.js"
import { diagonalSteps, type FeatureStage, type PreparedProgram } from "../plan/feature-stages.js"
import type { InferencePlan } from "../plan/plan.js"

/** A dense layer in slots; what is added afterwards is of the next stage's ring. */
export interface SlotWeights {
  /** The first layer: one for each ciphertext. Later ones: by giant step, then by baby step. */
  readonly products: readonly (readonly Evaluations[])[]
  readonly bias: Evaluations
  /** p of y^3 + p y; null where the activation is a square. */
  readonly slope: Evaluations | null
}

type Imaginary = (place: number) => boolean
const never: Imaginary = () => false

/** Writes numbers into slots, the same for every patient. */
class PlaceEncoder {
  readonly #encoder: CkksEncoder
  readonly #layout: FeatureLayout
  readonly #level: number

  constructor({ parameters }: FeatureStage, layout: FeatureLayout) {
    this.#encoder = new CkksEncoder(parameters)
    this.#layout = layout
    this.#level = parameters.primes.length - 1
  }

  /** Numbers by place, times a scale. */
  encode(scale: number, number: (place: number) => number, imaginary: Imaginary = never): Evaluations {
    const { places, stride } = this.#layout
    const real = new Float64Array(this.#encoder.slots)
    const other = new Float64Array(this.#encoder.slots)
    for (let place = 0; place < places; place++)
      (imaginary(place) ? other : real).fill(
        number(place),
        featureSlot(this.#layout, place, 0),
        featureSlot(this.#layout, place, stride),
      )
    return this.#encoder.slotsToPlain(real, other, { level: this.#level, scale }).values
  }
}

/** One product for each ciphertext: at place j M + r the weight from column j to unit r. */
const firstProducts = (
  encoder: PlaceEncoder,
  { columnsEach, ciphertexts }: FeatureLayout,
  width: number,
  scale: number,
  { weights }: SlotLayer,
  imaginary: Imaginary,
): readonly (readonly Evaluations[])[] =>
  Array.from({ length: ciphertexts }, (_, c) => [
    encoder.encode(
      scale,
      (place) => weights[place % width]?.[c * columnsEach + Math.floor(place / width)] ?? 0,
      imaginary,
    ),
  ])

/**
 * Diagonals of a matrix, turned back by the giant step that follows.
 *
 * Math: at place e of diagonal k: weight from unit (e + k) mod M to unit e mod M', M and M' the padded widths
 */
const innerProducts = (
  encoder: PlaceEncoder,
  { places }: FeatureLayout,
  [from, to]: readonly [number, number],
  scale: number,
  { weights }: SlotLayer,
  imaginary: Imaginary,
): readonly (readonly Evaluations[])[] => {
  const { diagonals, babies } = diagonalSteps(from, to)
  return Array.from({ length: diagonals / babies }, (_, giant) =>
    Array.from({ length: babies }, (_, baby) => {
      const turned = (place: number): number => (place - giant * babies + places) % places
      return encoder.encode(
        scale,
        (place) => weights[turned(place) % to]?.[(turned(place) + giant * babies + baby) % from] ?? 0,
        (place) => imaginary(turned(place)),
      )
    }),
  )
}

/** The weights of a network as polynomials. */
export const slotWeights = (
  plan: InferencePlan,
  { program, layout, stages }: PreparedProgram,
  network: SlotNetwork,
): readonly SlotWeights[] =>
  network.layers.map((layer, l): SlotWeights => {
    const { scaleBits } = program.layers[l] as FeatureLayer
    const to = layout.widths[l] as number
    const last = l === network.layers.length - 1
    const imaginary: Imaginary = last ? (place) => network.imaginary[place % to] === true : never
    const encoder = new PlaceEncoder(stages[l] as FeatureStage, layout)
    const scale = weightScale(program, plan, l)
    const before = layout.widths[l - 1]
    const after = new PlaceEncoder(stages[l + 1] as FeatureStage, layout)
    return {
      products:
        before === undefined
          ? firstProducts(encoder, layout, to, scale, layer, imaginary)
          : innerProducts(encoder, layout, [before, to], scale, layer, imaginary),
      bias: after.encode(2 ** scaleBits, (place) => layer.biases[place % to] ?? 0, imaginary),
      slope:
        layer.slopes.length === 0
          ? null
          : after.encode(2 ** (2 * scaleBits), (place) => layer.slopes[place % to] ?? 0),
    }
  })

/** The bias of the logit, in the ring of the answer. */
export const logitBias = (
  plan: InferencePlan,
  { layout, stages }: PreparedProgram,
  bias: number,
): Evaluations =>
  new PlaceEncoder(stages[stages.length - 1] as FeatureStage, layout).encode(2 ** plan.answerBits, () => bias)
