import { compareBytes, toHex } from "@consilium/base/bytes"
import { insecureSeededSecret } from "@consilium/base/testing"
import { type RoundSpec, specDigest } from "@consilium/federation/messages"
import { Directory, type Participant, participantId } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { ceremonyStream } from "@consilium/federation/sums/facility/key-dealing"
import {
  ceremonyOf,
  maskedParameters,
  sumContextOf,
  thresholdParameters,
} from "@consilium/federation/sums/lattice-parameters"
import type { SumSetting } from "@consilium/federation/sums/secure-sum"
import { roundStream } from "@consilium/federation/training"
import { MaskedSum, MaskKey } from "@consilium/lattice/masked/masked-sum"
import type { Coefficients, Evaluations, Ring } from "@consilium/lattice/ring/ring"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import { polynomialSeed } from "@consilium/lattice/sums/sum-context"
import { ceremonyId } from "@consilium/lattice/threshold/key-check"
import { dealKey } from "@consilium/lattice/threshold/key-dealing"
import { ThresholdSum } from "@consilium/lattice/threshold/threshold-sum"
import { nodeSuite } from "@consilium/node/identity/suite"
import { type KnownUpdate, seededSecrets } from "./known-updates.js"
import { bytesSecret, type LongSecret, type Secret } from "./needles.js"
import type { StudyRun } from "./study-run.js"

/** What a seeded study's facilities encrypt under, computed from the seed by the functions that they run themselves. */
export interface KnownKeys {
  /** What one facility alone may hold, by its name: its key, what it was drawn from, and it times each public polynomial. */
  readonly own: ReadonlyMap<string, readonly (Secret | LongSecret)[]>
  /** Shares of the facilities' keys, by who may hold them: the recipient, and the dealer until it has sent them. */
  readonly shares: readonly {
    readonly dealer: string
    readonly recipient: string
    readonly secrets: readonly LongSecret[]
  }[]
  /** What nobody may hold: the sum of all keys, that sum times a polynomial, and shares of that sum. */
  readonly joint: readonly LongSecret[]
  /** What everybody on the way may read: the ciphertexts, by facility. The control of the search. */
  readonly ciphertexts: ReadonlyMap<string, readonly LongSecret[]>
}

/** Bytes that fix far more than 80 bits: of residues, of coefficients -1, 0, 1 in a byte and in a word each. */
const RESIDUES = 64
const TERNARY = 64
const TERNARY_WORDS = 256

const littleEndian = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** A polynomial as arrays hold it, and as it is packed. */
const polynomial = (ring: Ring, name: string, values: Uint32Array): readonly LongSecret[] => [
  { name, form: "words", bytes: littleEndian(values), width: RESIDUES },
  { name, form: "packed", bytes: ring.pack(values as Evaluations), width: RESIDUES },
]
/** Bytes of a frame before its body. */
const TAG = 16
/** The polynomial that a share holds. */
const polynomialOf = (ring: Ring, share: Uint8Array): Evaluations =>
  ring.unpackEvaluations(share.slice(TAG, TAG + ring.packedLength))

/** Most that the error of a ciphertext is. */
const MOST_ERROR = 64n
/** That a product is what a ciphertext hides: beyond the values only the error is left. */
const checkHidden = (ring: Ring, update: Uint8Array, product: Uint32Array, values: number): void => {
  const left = ring.subtract(polynomialOf(ring, update), product as Evaluations) as Uint32Array
  const errors = ring.toBigInts(left as Coefficients).slice(values)
  if (errors.some((error) => error > MOST_ERROR || error < -MOST_ERROR))
    throw new Error("A ciphertext is not what the key and the polynomial that were computed make it.")
}

const added = (ring: Ring, all: readonly Evaluations[]): Evaluations =>
  all.reduce((sum, one) => ring.add(sum, one), ring.zeroEvaluations())

/** Names and places of a run's participants as its roster has them; their keys are of no account here. */
const directoryOf = ({ layout, study }: StudyRun): Directory => {
  const none = new Uint8Array(32)
  const parent = layout.processes.find(({ role }) => role === "leader")?.name as string
  const participants = layout.processes
    .filter(({ role }) => role === "leader" || role === "facility")
    .map(
      ({ name, role }): Participant => ({
        id: participantId(name),
        name,
        role,
        parent: role === "leader" ? null : participantId(parent),
        address: "",
        signingKey: none,
        sealingKey: none,
        tlsKeyHash: none,
      }),
    )
    .sort((a, b) => compareBytes(a.id, b.id))
  return new Directory({ study: studyDigest(study), version: 1, issuedAt: 0, participants })
}

const settingOf = (study: Study, directory: Directory, spec: RoundSpec): SumSetting => ({
  study,
  directory,
  spec: specDigest(spec),
  epoch: spec.epoch,
  attempt: spec.attempt,
  suite: nodeSuite,
})

const weightedOf = (updates: readonly KnownUpdate[], facility: string, round: number): Int32Array => {
  const known = updates.find((update) => update.facility === facility && update.round === round)
  const weighted = known?.secrets.find(({ name }) => name.endsWith("weighted integers"))
  return Int32Array.from((weighted as { readonly values: readonly number[] }).values)
}

interface Told {
  readonly run: StudyRun
  /** What the leader has announced so far, ceremonies too. */
  readonly specs: readonly RoundSpec[]
  readonly updates: readonly KnownUpdate[]
}

/** The keys of the one epoch of a study under `ckks`. */
export const knownEpochKeys = ({ run, specs, updates }: Told): KnownKeys => {
  const { study } = run
  const directory = directoryOf(run)
  const [spec, ...others] = specs.filter(({ purpose }) => purpose === "keys")
  if (spec === undefined || others.length > 0) throw new Error("The study did not have one ceremony.")
  const setting = settingOf(study, directory, spec)
  const parameters = thresholdParameters(setting)
  const { ring } = parameters
  const ceremony = ceremonyOf(setting)
  const dealt = directory.facilities.map(({ name }, i) => {
    const secret = insecureSeededSecret(
      study.insecureSeed as number,
      "epoch-secret",
      study.name,
      name,
      String(spec.epoch),
    )
    const stream = () => ceremonyStream(setting, secret)
    const { key, shares } = dealKey(parameters, ceremony, i + 1, stream()).secret
    return {
      name,
      secret,
      key,
      shares,
      values: ring.unpackEvaluations(key.expose()),
      small: ring.ternary(stream()),
    }
  })
  const rounds = specs
    .filter(({ purpose }) => purpose === "update")
    .map((of) => settingOf(study, directory, of))
  const times = (at: SumSetting, key: Evaluations): Uint32Array =>
    ring.inverse(ring.multiply(ring.uniform(polynomialSeed("sum", sumContextOf(at), 0)), key))
  const whole = added(
    ring,
    dealt.map(({ values }) => values),
  )
  const shareOfSum = (recipient: number): Evaluations =>
    added(
      ring,
      dealt.map(({ shares }) => polynomialOf(ring, shares[recipient] as Uint8Array)),
    )
  return {
    own: new Map(
      dealt.map(({ name, secret, values, small }) => {
        const called = `key of ${name}`
        return [
          name,
          [
            bytesSecret(`secret that the ${called} was drawn from`, secret.expose()),
            ...polynomial(ring, called, values),
            {
              name: called,
              form: "ternary bytes",
              bytes: littleEndian(Int8Array.from(small)),
              width: TERNARY,
            },
            { name: called, form: "ternary words", bytes: littleEndian(small), width: TERNARY_WORDS },
            ...rounds.flatMap((at, i) =>
              polynomial(ring, `${called} times the polynomial of round ${i + 1}`, times(at, values)),
            ),
          ],
        ]
      }),
    ),
    shares: dealt.flatMap(({ name: dealer, shares }) =>
      directory.facilities.map(({ name: recipient }, i) => ({
        dealer,
        recipient,
        secrets: polynomial(
          ring,
          `share for ${recipient} of the key of ${dealer}`,
          polynomialOf(ring, shares[i] as Uint8Array),
        ),
      })),
    ),
    joint: [
      ...polynomial(ring, "sum of all keys", whole),
      ...rounds.flatMap((at, i) =>
        polynomial(ring, `sum of all keys times the polynomial of round ${i + 1}`, times(at, whole)),
      ),
      ...directory.facilities.flatMap(({ name }, i) =>
        polynomial(ring, `share for ${name} of the sum of all keys`, shareOfSum(i)),
      ),
    ],
    ciphertexts: new Map(
      dealt.map(({ name, key }) => [
        name,
        rounds.flatMap((at, i) => {
          const values = weightedOf(updates, name, i + 1)
          const context = sumContextOf(at)
          const admission = SeedLedger.begin(parameters.openable).protect(context, values)
          if (admission.kind === "repeated") return []
          const random = dealingStream(run, specs, name, i + 1)
          const update = new ThresholdSum(parameters).protect(context, key, admission.permit, values, random)
          checkHidden(ring, update, times(at, key.use(ceremonyId(parameters, ceremony))), values.length)
          return ciphertext(name, i + 1, update)
        }),
      ]),
    ),
  }
}

/** The mask keys of the rounds of a study under `masked`: one for each update. */
export const knownMaskKeys = ({ run, specs, updates }: Told): KnownKeys => {
  const { study } = run
  const directory = directoryOf(run)
  const rounds = specs.map((spec) => settingOf(study, directory, spec))
  const parameters = maskedParameters({ study, directory })
  const { ring, keyRing, keyGaussian } = parameters
  const dealt = directory.facilities.flatMap(({ name }, i) =>
    rounds.map((at, place) => {
      const round = place + 1
      const stream = () => dealingStream(run, specs, name, round)
      const wide = keyGaussian.sample(stream(), new BigInt64Array(ring.degree))
      const random = stream()
      const context = sumContextOf(at)
      const values = weightedOf(updates, name, round)
      const key = new MaskKey(parameters, random)
      const { update, shares } = new MaskedSum(parameters).protect(context, i + 1, key, values, random)
      const whole = ring.forward(ring.fromWide(wide))
      const seed = polynomialSeed("masked-sum", context, 0)
      const product = ring.inverse(ring.multiply(ring.uniform(seed), whole))
      checkHidden(ring, update, product, values.length)
      const called = `mask key of ${name} in round ${round}`
      return {
        name,
        own: [
          { name: called, form: "numbers of 64 bits", bytes: littleEndian(wide), width: RESIDUES },
          ...polynomial(ring, called, whole),
          ...polynomial(keyRing, called, keyRing.forward(keyRing.fromWide(wide))),
          ...polynomial(ring, `${called} times its polynomial`, product),
        ],
        shares: directory.facilities.map(({ name: recipient }, at) => ({
          dealer: name,
          recipient,
          secrets: polynomial(
            keyRing,
            `share for ${recipient} of the ${called}`,
            polynomialOf(keyRing, shares[at] as Uint8Array),
          ),
        })),
        ciphertext: ciphertext(name, round, update),
      }
    }),
  )
  const of = <T>(name: string, what: (one: (typeof dealt)[number]) => readonly T[]): readonly T[] =>
    dealt.filter((one) => one.name === name).flatMap(what)
  const names = directory.facilities.map(({ name }) => name)
  return {
    own: new Map(names.map((name) => [name, of(name, ({ own }) => own)])),
    shares: dealt.flatMap(({ shares }) => shares),
    // an opening shows the sum of the cohort's mask keys: they were drawn for it alone
    joint: [],
    ciphertexts: new Map(names.map((name) => [name, of(name, (one) => one.ciphertext)])),
  }
}

const ciphertext = (name: string, round: number, bytes: Uint8Array): readonly LongSecret[] => [
  { name: `ciphertext of ${name} in round ${round}`, form: "packed", bytes, width: RESIDUES },
]

/** The randomness of one facility's ciphertext. */
const dealingStream = ({ study }: StudyRun, specs: readonly RoundSpec[], name: string, round: number) => {
  const spec = specs.find((one) => one.purpose === "update" && one.round === round) as RoundSpec
  const purpose = `dealing/${study.protection}/${toHex(specDigest(spec))}`
  return roundStream(study, spec, seededSecrets(study)(name, round), purpose)
}
