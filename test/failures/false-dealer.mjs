import { keyDealing } from "@consilium/federation/sums/facility/key-dealing"
import { sealShares } from "@consilium/federation/sums/facility/parts"
import { keyShareBinding } from "@consilium/federation/sums/key-shares"
import { ceremonyOf, thresholdParameters } from "@consilium/federation/sums/lattice-parameters"
import { sealFrame } from "@consilium/lattice/sums/frame"
import { dealKey } from "@consilium/lattice/threshold/key-dealing"
import { startFacility } from "@consilium/node/roles/start"

// The program of a facility with a real kit that deals one recipient, named by VICTIM, a share in which one coefficient is
// another one: well formed, sealed as it should be, and committed to. All else it does is honest.

const configPath = process.argv[process.argv.indexOf("--config") + 1]
const narrate = (line) => process.stderr.write(`${new Date().toISOString()} facility: ${line}\n`)
const { VICTIM } = process.env
/** Bytes of a frame before its body. */
const TAG = 16

const oneChanged = (share) => {
  const out = share.slice()
  out[TAG] ^= 1
  return sealFrame(out)
}

keyDealing.protect = (setting, { me, epochKeys }, _values, random) => {
  const { directory } = setting
  const point = directory.pointOf(me)
  const { shares } = dealKey(thresholdParameters(setting), ceremonyOf(setting), point, random).secret
  const victim = directory.pointOf(directory.named(VICTIM).id) - 1
  const dealt = shares.map((share, i) => (i === victim ? oneChanged(share) : share))
  const binding = (recipient) => keyShareBinding(setting, me, recipient)
  return { payload: null, ...sealShares(setting, me, dealt, binding, random), epochKeys }
}

await startFacility({ configPath, patience: 120_000, narrate, stop: new AbortController().signal })
