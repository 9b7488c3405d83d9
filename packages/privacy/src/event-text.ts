import type { DpEvent } from "./events.js"

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`

/**
 * What an event did, in words with its exact parameters: for people who read what was spent. It says nothing of the data.
 *
 * Units: standard deviations, scales and sensitivities in steps of the grid where the noise is discrete
 */
export const eventText = (event: DpEvent): string => {
  switch (event.type) {
    case "gaussian":
      return `Gaussian noise (standard deviation ${event.noiseMultiplier} times the sensitivity)`
    case "laplace":
      return `Laplace noise (scale ${event.noiseMultiplier} times the sensitivity)`
    case "discrete-gaussian":
      return `discrete Gaussian noise on one number (standard deviation ${event.sigma}, sensitivity ${event.sensitivity}, in grid steps)`
    case "discrete-gaussian-vector":
      return `discrete Gaussian noise on every entry of a vector (standard deviation ${event.sigma}, L2 sensitivity ${event.l2Sensitivity}, in grid steps)`
    case "discrete-laplace":
      return `discrete Laplace noise on every number (scale ${event.scale}, L1 sensitivity ${event.sensitivity}, in grid steps)`
    case "randomized-response":
      return `randomised response over ${counted(event.buckets, "answer")} (a random one with probability ${event.probability})`
    case "poisson-sampled":
      return `on a random sample that each joins with probability ${event.samplingProbability}: ${eventText(event.event)}`
    case "sampled-without-replacement":
      return `on ${event.sampleSize} of ${event.sourceDatasetSize} drawn without replacement: ${eventText(event.event)}`
    case "composed":
      return event.events.length === 0
        ? "nothing was released"
        : event.events.map((part) => eventText(part)).join("; then ")
    case "self-composed":
      return `${counted(event.count, "time")}: ${eventText(event.event)}`
    case "tree-aggregation":
      return `prefix sums of ${counted(event.steps, "vector")} by a tree with Gaussian noise (standard deviation ${event.noiseMultiplier} times the sensitivity)`
    case "epsilon-delta":
      return `a release that is (epsilon ${event.epsilon}, delta ${event.delta})-differentially private`
    case "no-op":
      return "nothing was released"
    case "non-private":
      return "a release without any protection"
    case "unsupported":
      return `a release that no accountant knows (${event.name})`
  }
}
