import type { NoiseChoice } from "@consilium/federation/plan-privacy"

/** A noise multiplier, and what decided it: the floor, or what the budget needs. */
export const noiseWords = (noise: NoiseChoice & { readonly noiseMultiplier: number }): string => {
  const value = noise.noiseMultiplier.toPrecision(4)
  if (noise.from === "given") return `${value}, as given; facilities stop at the budget`
  const floor = noise.floor === null ? "no floor is set" : `it is more than the floor of ${noise.floor}`
  return noise.from === "floor"
    ? `${value}, the floor: it is more than the ${noise.calibrated?.toPrecision(4)} that the budget needs`
    : `${value}, calibrated to the budget; ${floor}`
}
