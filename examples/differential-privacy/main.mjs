// One hospital answers questions about its patients, and trains on them, within a privacy budget: the steps one after the
// other, with what each costs. Run it with `npm run example -- differential-privacy`.
import { systemRandom } from "@consilium/base/random"
import { calibrateNoiseMultiplier } from "@consilium/privacy/calibration"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import { dpSgdEvent } from "@consilium/privacy/events"
import { filterEpsilon, grantsLeft, newPrivacyFilter, requestEvent } from "@consilium/privacy/filter"
import { makeLaplace } from "@consilium/privacy/laplace-mechanism"
import { PldAccountant } from "@consilium/privacy/pld"
import { RdpAccountant } from "@consilium/privacy/rdp"

const say = (line) => process.stdout.write(`${line}\n`)
const BUDGET = { epsilon: 3, delta: 1e-5 }
const FEATURES = 6

// 600 made-up patients; whoever is ill has larger values
const unit = () => new DataView(systemRandom.bytes(4).buffer).getUint32(0) / 2 ** 32
const patients = Array.from({ length: 600 }, () => {
  const ill = unit() < 0.4
  return {
    x: Float64Array.from({ length: FEATURES }, () => 2 * unit() - 1 + (ill ? 0.4 : 0)),
    y: ill ? 1 : 0,
  }
})

say(
  `1. The budget: epsilon ${BUDGET.epsilon} at delta ${BUDGET.delta}, for all that this hospital will ever say here`,
)
let filter = newPrivacyFilter(BUDGET)
/** Asks the filter first: what it does not grant is not computed. */
const spend = (event, count, answer) => {
  const granted = requestEvent(filter, event, count)
  if (granted === null) return null
  filter = granted
  return answer()
}

say("\n2. A count, with exact Laplace noise on whole numbers")
const count = makeLaplace({ l1Sensitivity: 1, scale: 4 })
const ill = patients.filter(({ y }) => y === 1).length
const told = spend(count.event, 1, () => count.apply(Float64Array.of(ill), systemRandom)[0])
say(
  `   ill patients: ${told.toFixed(1)} is told, ${ill} is true; spent so far: epsilon ${filterEpsilon(filter).toFixed(3)}`,
)

say("\n3. A model: 40 steps, each over a Poisson sample of a tenth of the patients")
const plan = { sampleRate: 0.1, steps: 40 }
const noise = calibrateNoiseMultiplier(2, BUDGET.delta, plan)
say(`   noise multiplier for epsilon 2: ${noise.toFixed(3)} times what one patient can move a step's sum`)
const optimizer = new DpOptimizer({
  noiseMultiplier: noise,
  maxGradNorm: 1,
  sampleRate: plan.sampleRate,
  datasetSize: patients.length,
  dimension: FEATURES + 1,
  learningRate: 2,
  random: systemRandom,
  accountant: new RdpAccountant(),
})
const probability = (weights, x) =>
  1 / (1 + Math.exp(-x.reduce((sum, value, j) => sum + value * weights[j], weights[FEATURES])))
const model = spend(optimizer.event, plan.steps, () => {
  const weights = new Float64Array(FEATURES + 1)
  for (let step = 0; step < plan.steps; step++) {
    const gradients = Array.from(optimizer.nextBatch(), (i) => {
      const { x, y } = patients[i]
      const excess = probability(weights, x) - y
      return Float64Array.from([...x, 1], (value) => value * excess)
    })
    optimizer.step(weights, gradients)
  }
  return weights
})
const right = patients.filter(({ x, y }) => probability(model, x) > 0.5 === (y === 1)).length
say(`   the model is right about ${((100 * right) / patients.length).toFixed(0)} % of the patients`)
say(`   spent so far: epsilon ${filterEpsilon(filter).toFixed(3)} of ${BUDGET.epsilon}`)

say("\n4. The same training, read by three accountants")
const event = dpSgdEvent(noise, plan.sampleRate, plan.steps)
const rdp = new RdpAccountant().compose(event).getEpsilon(BUDGET.delta)
const pld = new PldAccountant().compose(event).getEpsilon(BUDGET.delta)
say(`   Renyi bound             epsilon ${rdp.toFixed(4)}`)
say(`   loss distribution       epsilon ${pld.toFixed(4)}, nearer to the truth, from above`)
say(
  `   40 steps not sampled    epsilon ${new RdpAccountant()
    .compose(dpSgdEvent(noise, 1, plan.steps))
    .getEpsilon(BUDGET.delta)
    .toFixed(4)}: what the secret choice of patients is worth`,
)

say("\n5. Until the budget is used up")
const more = grantsLeft(filter, count.event)
for (let i = 0; i < more; i++) spend(count.event, 1, () => null)
const refused = spend(count.event, 1, () => {
  throw new Error("This was to be refused.")
})
say(`   ${more} more counts are granted; the next one: ${refused === null ? "refused" : "granted"}`)
say(`   spent in the end: epsilon ${filterEpsilon(filter).toFixed(4)}, never more than ${BUDGET.epsilon}`)
process.exitCode = refused === null && filterEpsilon(filter) <= BUDGET.epsilon && pld <= rdp ? 0 : 1
