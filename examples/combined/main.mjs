// Five hospitals add up what none of them shows, and what comes out is noisy: one noise on an encrypted sum. Run it with
// `npm run example -- combined`.
import { systemRandom } from "@consilium/base/random"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import { chooseSumParameters } from "@consilium/lattice/threshold/choose-parameters"
import { acceptShare, dealKey } from "@consilium/lattice/threshold/key-dealing"
import { ThresholdPublicSum } from "@consilium/lattice/threshold/public-sum"
import { ThresholdParameters } from "@consilium/lattice/threshold/threshold-parameters"
import { ThresholdSum } from "@consilium/lattice/threshold/threshold-sum"
import { calibrateNoiseMultiplier } from "@consilium/privacy/calibration"
import { distributedEvent, distributedRho } from "@consilium/privacy/distributed"
import { noiseBound, noiseShare } from "@consilium/privacy/distributed-noise"
import { nonPrivateEvent } from "@consilium/privacy/events"
import { RdpAccountant } from "@consilium/privacy/rdp"

const say = (line) => process.stdout.write(`${line}\n`)
const HOSPITALS = 5
const COLLUDERS = 1
const OPENERS = 4
const BINS = 12
const EPSILON = 1
const DELTA = 1e-5
const points = Array.from({ length: HOSPITALS }, (_, i) => i + 1)

say("1. What each hospital has: how many of its patients fall into each of 12 age groups")
const histograms = points.map((point) =>
  Int32Array.from({ length: BINS }, (_, bin) => 4 + ((bin * (13 - bin) + 7 * point) % 31)),
)
say(`   the first one's: ${[...histograms[0]].join(" ")}`)

say("\n2. The noise, from public numbers alone")
// one patient is in one group: it moves the sum by 1
const shares = (z) => {
  const parties = HOSPITALS - COLLUDERS
  return {
    clip: 1,
    granularity: 1,
    localSigma: z / Math.sqrt(parties),
    parties,
    dimension: BINS,
    beta: 0,
    whole: true,
  }
}
const costOf = (noise) =>
  distributedRho(shares(noise)) < Infinity ? distributedEvent(shares(noise)) : nonPrivateEvent
const z = calibrateNoiseMultiplier(EPSILON, DELTA, { event: costOf })
const setting = shares(z)
const spent = new RdpAccountant().compose(distributedEvent(setting)).getEpsilon(DELTA)
say(
  `   for epsilon ${EPSILON} at delta ${DELTA} the sum needs a deviation of ${z.toFixed(2)}; each hospital adds ${setting.localSigma.toFixed(2)},`,
)
say(
  `   so that ${HOSPITALS - COLLUDERS} of them have all of it: ${COLLUDERS} may tell its share to others. Charged to each: epsilon ${spent.toFixed(4)}`,
)

say("\n3. Each hospital adds its share, exact and secret, before it encrypts")
const noisy = histograms.map((histogram) => {
  const share = noiseShare(setting, systemRandom)
  return histogram.map((value, i) => value + Number(share[i]))
})
say(`   the first one's, noisy: ${[...noisy[0]].join(" ")}`)
say("   one share alone hides little: that is why nobody gets to see one hospital's numbers")

say("\n4. Encrypted under own keys, added unread, opened by four of five")
const largest = 64 + noiseBound(setting.localSigma, BINS)
const { literal } = chooseSumParameters({ facilities: HOSPITALS, threshold: OPENERS, values: BINS, largest })
const parameters = ThresholdParameters.of(literal)
const ceremony = { study: systemRandom.bytes(32), epoch: 1 }
const dealt = points.map((dealer) => dealKey(parameters, ceremony, dealer, systemRandom).secret)
const context = { study: ceremony.study, epoch: 1, spec: systemRandom.bytes(32), attempt: 1 }
const own = new ThresholdSum(parameters)
const ledgers = points.map(() => SeedLedger.begin(parameters.openable))
const sent = points.map((_, i) => {
  const { permit, ledger } = ledgers[i].protect(context, noisy[i])
  ledgers[i] = ledger
  return own.protect(context, dealt[i].key, permit, noisy[i], systemRandom)
})
const server = new ThresholdPublicSum(parameters)
const sum = server.add(context, sent)
const request = { context, cohort: points, active: points.slice(0, OPENERS) }
const openings = request.active.map((point) => {
  const { permit, ledger } = ledgers[point - 1].open(parameters, request)
  ledgers[point - 1] = ledger
  const held = points.map((dealer) =>
    acceptShare(parameters, ceremony, dealer, point, dealt[dealer - 1].shares[point - 1]),
  )
  return { point, opening: own.partial(request, point, held, permit, systemRandom) }
})
const opened = server.open(request, sum, openings)
const truth = histograms[0].map((_, bin) => histograms.reduce((total, one) => total + one[bin], 0))
const withNoise = noisy[0].map((_, bin) => noisy.reduce((total, one) => total + one[bin], 0))
const exact = opened.every((value, bin) => value === withNoise[bin])
say(
  `   ${sent[0].length} bytes each; the opened sum is the noisy one, digit for digit: ${exact ? "yes" : "NO"}`,
)
say(`   true:   ${[...truth].map((value) => String(value).padStart(4)).join("")}`)
say(`   opened: ${[...opened].map((value) => String(value).padStart(4)).join("")}`)

say("\n5. A colluder takes its own share off again")
const left = Math.sqrt(HOSPITALS - COLLUDERS) * setting.localSigma
say(`   what is left has a deviation of ${left.toFixed(2)}: no less than epsilon ${EPSILON} needs`)
process.exitCode = exact && left >= z * (1 - 1e-12) && spent <= EPSILON ? 0 : 1
