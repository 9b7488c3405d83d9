// Five hospitals add up what none of them shows: the steps of a threshold sum, one after the other, with their sizes and
// times. Run it with `npm run example -- homomorphic-encryption`.
import { systemRandom } from "@consilium/base/random"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import { chooseSumParameters } from "@consilium/lattice/threshold/choose-parameters"
import { checkShare, keyChallenge } from "@consilium/lattice/threshold/key-check"
import { acceptShare, dealKey } from "@consilium/lattice/threshold/key-dealing"
import { ThresholdPublicSum } from "@consilium/lattice/threshold/public-sum"
import { ThresholdParameters } from "@consilium/lattice/threshold/threshold-parameters"
import { ThresholdSum } from "@consilium/lattice/threshold/threshold-sum"

const HOSPITALS = 5
const OPENERS = 3
const points = Array.from({ length: HOSPITALS }, (_, i) => i + 1)

const say = (line) => process.stdout.write(`${line}\n`)
const timed = (work) => {
  const start = performance.now()
  return { result: work(), took: `${(performance.now() - start).toFixed(1)} ms` }
}
/** What a refusal says. */
const refusal = (attempt) => {
  try {
    attempt()
  } catch (error) {
    return `refused (${error.code}): ${error.message}`
  }
  throw new Error("This was to be refused.")
}

say("1. Parameters, from public numbers alone")
const demand = { facilities: HOSPITALS, threshold: OPENERS, values: 1000, largest: 32_767 }
const { literal, explanation } = chooseSumParameters(demand)
for (const line of explanation) say(`   ${line}`)
const parameters = ThresholdParameters.of(literal)

say("\n2. Keys: each hospital draws its own, and deals a share of it to each of the others")
const ceremony = { study: systemRandom.bytes(32), epoch: 1 }
const dealt = points.map((dealer) => dealKey(parameters, ceremony, dealer, systemRandom).secret)
say(
  `   ${HOSPITALS * (HOSPITALS - 1)} shares of ${dealt[0].shares[0].length} bytes; a share tells nothing of its key`,
)
// drawn when everything is dealt, so that no dealer knew it before
const challenge = keyChallenge(parameters, systemRandom.bytes(32))
const answers = dealt.map(({ dealing }) => dealing.answer(challenge))
const fits = points.every((holder) =>
  dealt.every(({ shares }, i) =>
    checkShare(parameters, ceremony, i + 1, holder, shares[holder - 1], challenge, answers[i]),
  ),
)
say(`   every share was checked by its holder: ${fits ? "all fit" : "one does not fit"}`)

say("\n3. Updates: each hospital encrypts 1,000 whole numbers under its own key")
const updates = points.map(() =>
  Int32Array.from(new Int16Array(systemRandom.bytes(2000).buffer), (v) => (v === -32_768 ? 0 : v)),
)
const context = { study: ceremony.study, epoch: 1, spec: systemRandom.bytes(32), attempt: 1 }
const own = new ThresholdSum(parameters)
const ledgers = points.map(() => SeedLedger.begin(parameters.openable))
const sent = points.map((point, i) => {
  const { permit, ledger } = ledgers[i].protect(context, updates[i])
  ledgers[i] = ledger
  return timed(() => own.protect(context, dealt[point - 1].key, permit, updates[i], systemRandom))
})
say(`   ${sent[0].result.length} bytes each, in ${sent[0].took}; readable they would be 4,000`)

say("\n4. The sum: a server without any key adds what it cannot read")
const server = new ThresholdPublicSum(parameters)
const { result: sum, took } = timed(() =>
  server.add(
    context,
    sent.map(({ result }) => result),
  ),
)
say(`   ${HOSPITALS} ciphertexts, ${took}`)

say("\n5. Opening: three named hospitals answer for this sum, each once")
const request = { context, cohort: points, active: [1, 3, 5] }
const held = (holder) =>
  points.map((dealer) =>
    acceptShare(parameters, ceremony, dealer, holder, dealt[dealer - 1].shares[holder - 1]),
  )
const openings = request.active.map((point) => {
  const { permit, ledger } = ledgers[point - 1].open(parameters, request)
  ledgers[point - 1] = ledger
  return { point, opening: own.partial(request, point, held(point), permit, systemRandom) }
})
say(`   two of them are too few: ${refusal(() => server.open(request, sum, openings.slice(1)))}`)
const again = { ...request, active: [1, 2, 4] }
say(`   hospital 1, asked with two others: ${refusal(() => ledgers[0].open(parameters, again))}`)
const alone = { ...request, cohort: [2], active: [1, 2, 4] }
const askedAlone = () =>
  own.partial(alone, 4, held(4), ledgers[3].open(parameters, alone).permit, systemRandom)
say(`   hospital 4, asked for hospital 2's update alone: ${refusal(askedAlone)}`)
const opened = server.open(request, sum, openings)
const exact = opened.every((value, i) => value === updates.reduce((total, update) => total + update[i], 0))
say(`   the three answers open the sum: ${exact ? "1,000 of 1,000 numbers are exact" : "IT IS WRONG"}`)
process.exitCode = exact && fits ? 0 : 1
