import { productOf } from "@consilium/lattice/ring/crt"
import { nttPrimes } from "@consilium/lattice/ring/primes"
import type { SlotNetwork } from "../model/integer-model.js"
import { MOST_WIDTH } from "../plan/feature-layout.js"
import { type FeatureProgram, MOST_HIDDEN_LAYERS, weightScale } from "../plan/feature-program.js"
import { type Chain, type ChainReach, chainReach, slotNetwork } from "./chain.js"
import { type Candidate, candidatesOf, layoutFor } from "./feature-candidates.js"
import { ceilingOf } from "./integers.js"
import { type LayerProof, noPlan } from "./refusal.js"
import { type SlotError, type SlotScales, type SlotSizes, slotError } from "./slot-error.js"
import { largestSwitch } from "./slot-noise.js"

const DEGREES = [4096, 8192, 16384] as const
/** Of what is encoded: doubles hold no more digits, and the encoder no more bits. */
const MOST_INPUT_BITS = 45
const LEAST_BITS = 12
const MOST_SCALE_BITS = 60
/** How far around the best scales so far others are tried, in bits. */
const SWEEPS = [
  { reach: 24, step: 4 },
  { reach: 4, step: 1 },
  { reach: 2, step: 1 },
] as const
const MOST_ENCODED = 2 ** 91

export interface FeatureChoice {
  readonly degree: number
  readonly primes: readonly number[]
  readonly program: FeatureProgram
  readonly inputBits: number
  readonly error: number
  readonly logitBound: number
  readonly integers: SlotNetwork
  readonly proof: readonly LayerProof[]
}

/** One candidate with its primes, and what its scales are chosen by. */
class Trial {
  readonly #network: SlotNetwork
  readonly #reach: ChainReach
  readonly #candidate: Candidate
  readonly #sizes: SlotSizes
  readonly #primes: readonly number[]
  readonly #specialPrimes: readonly number[]
  /** Half the modulus at each activation: what is below does not wrap. */
  readonly #room: readonly number[]

  constructor(network: SlotNetwork, reach: ChainReach, candidate: Candidate) {
    const { degree, bits, special, first, left } = candidate
    const all = nttPrimes(degree, bits, first + special)
    const primes = all.slice(0, first)
    const specialPrimes = all.slice(first)
    const product = (list: readonly number[]): number => list.reduce((out, q) => out * q, 1)
    const layout = layoutFor(network, degree)
    this.#network = network
    this.#reach = reach
    this.#candidate = candidate
    this.#primes = primes
    this.#specialPrimes = specialPrimes
    this.#room = left.map((count) => product(primes.slice(0, count)) / 2)
    this.#sizes = {
      degree,
      layout,
      switches: [first, ...left].map((count) =>
        largestSwitch({ degree, primes: primes.slice(0, count), specialPrimes }),
      ),
      dropped: left.map((count, l) => product(primes.slice(count, left[l - 1] ?? first))),
    }
  }

  #program(scaleBits: readonly number[]): FeatureProgram {
    return {
      specialPrimes: this.#specialPrimes,
      layers: this.#network.layers.map(({ weights, slopes }, l) => ({
        width: weights.length,
        degree: slopes.length === 0 ? 2 : 3,
        scaleBits: scaleBits[l] as number,
        primes: this.#candidate.left[l] as number,
      })),
    }
  }

  #degree(l: number): number {
    return this.#network.layers[l]?.slopes.length === 0 ? 2 : 3
  }

  /** Whether numbers can be encoded: weights, biases and slopes times their scales. */
  #encodes({ inputBits, scaleBits }: SlotScales): boolean {
    const program = this.#program(scaleBits)
    return this.#network.layers.every(({ weights, biases, slopes }, l) => {
      const scale = weightScale(program, { primes: this.#primes, inputBits }, l)
      const most = (rows: readonly Float64Array[]): number =>
        rows.reduce((so, row) => row.reduce((high, x) => Math.max(high, Math.abs(x)), so), 0)
      const own = 2 ** (scaleBits[l] as number)
      const [wide, room] = [this.#room[l - 1] ?? Infinity, this.#room[l] as number]
      return (
        scale >= 2 ** LEAST_BITS &&
        most(weights) * scale < Math.min(wide, MOST_ENCODED) &&
        Math.max(most([biases]) * own, most([slopes]) * own * own) < Math.min(room, MOST_ENCODED)
      )
    })
  }

  /** The error under some scales, or null if a number could wrap. */
  #tried(scales: SlotScales): SlotError | null {
    if (!this.#encodes(scales)) return null
    const found = slotError(this.#network, this.#reach, this.#sizes, scales)
    const fits = scales.scaleBits.every((bits, l) => {
      const room = this.#room[l] as number
      const active = 2 ** (this.#degree(l) * bits) * (found.outputs[l] as number)
      return 2 ** bits * (found.inputs[l] as number) < room && active < room
    })
    const last = scales.scaleBits.length - 1
    const answer = 2 ** (this.#degree(last) * (scales.scaleBits[last] as number))
    // a logit of one must fit as well, where the model never reaches it
    const logit = Math.max(1, -this.#reach.low, this.#reach.high, Math.abs(this.#network.bias)) + found.error
    return fits && logit * answer < Math.min(this.#room[last] as number, MOST_ENCODED) ? found : null
  }

  /**
   * Scales to begin with: the last as large as there is room for, those before it so that weights get as many bits as inputs.
   *
   * Math: T_l + log2 dropped_l = d T_(l-1) + w_l, w_l = T_(l-1)
   */
  #first(): SlotScales {
    const last = this.#network.layers.length - 1
    const scaleBits = this.#network.layers.map(() => 0)
    let next = Infinity
    for (let l = last; l >= 0; l--) {
      const degree = this.#degree(l)
      const sizes = this.#reach.sizes[l] as Float64Array
      const logit = l === last ? Math.max(1, -this.#reach.low, this.#reach.high) : 0
      const size = Math.max(...sizes.map((y) => y ** degree), logit) * (1 + 2 ** -6)
      let bits = MOST_SCALE_BITS
      while (bits > LEAST_BITS && 2 ** (degree * bits) * size >= (this.#room[l] as number)) bits--
      while (bits > LEAST_BITS && 2 ** ((degree + 1) * bits) > next) bits--
      scaleBits[l] = bits
      next = 2 ** bits * (this.#sizes.dropped[l] as number)
    }
    return { inputBits: MOST_INPUT_BITS >> 1, scaleBits }
  }

  /** The best scales, found one after the other. */
  best(): FeatureChoice | null {
    let scales = this.#first()
    let found = this.#tried(scales)
    const consider = (other: SlotScales): void => {
      const tried = this.#tried(other)
      if (tried === null || (found !== null && found.error <= tried.error)) return
      scales = other
      found = tried
    }
    for (const { reach, step } of SWEEPS) {
      const around = (bits: number): readonly number[] =>
        Array.from({ length: 1 + (2 * reach) / step }, (_, i) => bits - reach + i * step).filter(
          (one) => one >= LEAST_BITS,
        )
      for (const inputBits of around(scales.inputBits))
        if (inputBits <= MOST_INPUT_BITS) consider({ ...scales, inputBits })
      for (let l = scales.scaleBits.length - 2; l >= 0; l--)
        for (const bits of around(scales.scaleBits[l] as number))
          consider({ ...scales, scaleBits: scales.scaleBits.map((own, k) => (k === l ? bits : own)) })
    }
    return found === null ? null : this.#choice({ scales, found })
  }

  #choice({ scales, found }: { readonly scales: SlotScales; readonly found: SlotError }): FeatureChoice {
    const { low, high, inputs, outputs } = this.#reach
    const { degree } = this.#candidate
    const halves = this.#candidate.left.map((count) => productOf(this.#primes.slice(0, count)) / 2n)
    const least = (values: Float64Array): number => Math.min(...values)
    const most = (values: Float64Array): number => Math.max(...values)
    const proof = scales.scaleBits.flatMap((bits, l): readonly LayerProof[] => {
      const room = halves[l] as bigint
      const [dense, active] = [inputs[l], outputs[l]] as [
        ChainReach["inputs"][number],
        ChainReach["inputs"][number],
      ]
      const scale = 2 ** bits
      const kind = this.#network.layers[l]?.slopes.length === 0 ? "square" : "polynomial"
      return [
        {
          layer: `Layer ${2 * l + 1} (dense)`,
          low: least(dense.low),
          high: most(dense.high),
          largest: ceilingOf(scale * (found.inputs[l] as number)),
          room,
        },
        {
          layer: `Layer ${2 * l + 2} (${kind})`,
          low: least(active.low),
          high: most(active.high),
          largest: ceilingOf(scale ** this.#degree(l) * (found.outputs[l] as number)),
          room,
        },
      ]
    })
    const last = scales.scaleBits.length - 1
    const logitBound = Math.max(-low, high) + found.error
    return {
      degree,
      primes: this.#primes,
      program: this.#program(scales.scaleBits),
      inputBits: scales.inputBits,
      error: found.error,
      logitBound,
      integers: this.#network,
      proof: [
        ...proof,
        {
          layer: `Layer ${2 * last + 3} (dense)`,
          low,
          high,
          largest: ceilingOf(2 ** (this.#degree(last) * (scales.scaleBits[last] as number)) * logitBound),
          room: halves[last] as bigint,
        },
      ],
    }
  }
}

/** The layer whose numbers go furthest, for whoever is refused. */
const furthest = ({ layers }: Chain, { outputs, low, high }: ChainReach): { layer: string; size: number } => {
  const sizes = outputs.map((output, l) => ({
    layer: `Layer ${2 * l + 2} (${layers[l]?.degree === 2 ? "square" : "polynomial"})`,
    size: Math.max(...output.high, ...output.low.map((x) => -x)),
  }))
  const logit = { layer: `Layer ${2 * layers.length + 1} (dense)`, size: Math.max(-low, high) }
  return sizes.reduce((worst, one) => (one.size > worst.size ? one : worst), logit)
}

/**
 * The smallest parameters that evaluate a chain with features in slots, within an error.
 * @throws {ConsiliumError} "inference/no-plan" if there are none
 */
export const chooseFeatures = (chain: Chain, wanted: number): FeatureChoice => {
  const network = slotNetwork(chain)
  const reach = chainReach(chain)
  const { layers } = chain
  if (layers.length > MOST_HIDDEN_LAYERS)
    noPlan(
      `Layer ${2 * MOST_HIDDEN_LAYERS + 1} (dense): there are more than ${MOST_HIDDEN_LAYERS} hidden layers.`,
    )
  const wide = layers.findIndex(({ weights }) => weights.length > MOST_WIDTH)
  if (wide >= 0) noPlan(`Layer ${2 * wide + 1} (dense): it has more than ${MOST_WIDTH} units.`)
  let least = Infinity
  for (const degree of DEGREES)
    for (const candidate of candidatesOf(network, degree)) {
      const choice = new Trial(network, reach, candidate).best()
      if (choice !== null && choice.error <= wanted) return choice
      least = Math.min(least, choice?.error ?? Infinity)
    }
  const { layer, size } = furthest(chain, reach)
  return noPlan(
    `${layer}: over the declared ranges its values reach ${size.toPrecision(3)}, and no parameters hold them with an error of ` +
      `${wanted}; the least found is ${least.toPrecision(3)}.`,
  )
}
