import { describe, expect, it } from "vitest"
import { eventText } from "../src/event-text.js"
import {
  composedEvent,
  type DpEvent,
  discreteGaussianEvent,
  discreteGaussianVectorEvent,
  discreteLaplaceEvent,
  dpSgdEvent,
  epsilonDeltaEvent,
  gaussianEvent,
  laplaceEvent,
  nonPrivateEvent,
  noOpEvent,
  poissonSampledEvent,
  randomizedResponseEvent,
  sampledWithoutReplacementEvent,
  treeAggregationEvent,
  unsupportedEvent,
} from "../src/events.js"

describe("what an event did, in words", () => {
  it("names every mechanism with its exact parameters", () => {
    const events: readonly DpEvent[] = [
      gaussianEvent(1.25),
      laplaceEvent(0.5),
      discreteGaussianEvent(7.5, 3),
      poissonSampledEvent(0.0125, discreteGaussianVectorEvent(724.0625, 482.7)),
      discreteLaplaceEvent(2, 1),
      randomizedResponseEvent(0.75, 1),
      sampledWithoutReplacementEvent(303, 32, laplaceEvent(2)),
      composedEvent([gaussianEvent(1), laplaceEvent(3)]),
      composedEvent([]),
      dpSgdEvent(1.5, 0.04, 1),
      treeAggregationEvent(2, 8),
      epsilonDeltaEvent(0.1, 1e-6),
      noOpEvent,
      nonPrivateEvent,
      unsupportedEvent("of another version"),
    ]
    expect(events.map(eventText).join("\n")).toMatchInlineSnapshot(`
      "Gaussian noise (standard deviation 1.25 times the sensitivity)
      Laplace noise (scale 0.5 times the sensitivity)
      discrete Gaussian noise on one number (standard deviation 7.5, sensitivity 3, in grid steps)
      on a random sample that each joins with probability 0.0125: discrete Gaussian noise on every entry of a vector (standard deviation 724.0625, L2 sensitivity 482.7, in grid steps)
      discrete Laplace noise on every number (scale 2, L1 sensitivity 1, in grid steps)
      randomised response over 1 answer (a random one with probability 0.75)
      on 32 of 303 drawn without replacement: Laplace noise (scale 2 times the sensitivity)
      Gaussian noise (standard deviation 1 times the sensitivity); then Laplace noise (scale 3 times the sensitivity)
      nothing was released
      1 time: on a random sample that each joins with probability 0.04: Gaussian noise (standard deviation 1.5 times the sensitivity)
      prefix sums of 8 vectors by a tree with Gaussian noise (standard deviation 2 times the sensitivity)
      a release that is (epsilon 0.1, delta 0.000001)-differentially private
      nothing was released
      a release without any protection
      a release that no accountant knows (of another version)"
    `)
  })
})
