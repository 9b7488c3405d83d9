import { concatBytes, equalBytes, toHex } from "@consilium/base/bytes"
import { hash } from "@consilium/base/hash"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import { nodeSuite, privateFromRaw, signBytes, x25519 } from "@consilium/node/identity/suite"
import { DEFAULT_POLICY, type LocalPolicy } from "../src/policy.js"
import { Directory, type Participant, participantId, type Roster, signRoster } from "../src/roster.js"
import {
  checkStudy,
  defaultCohort,
  defaultKeys,
  encodeStudy,
  PROTOCOL_VERSION,
  type Study,
  studyDigest,
} from "../src/study.js"
import { type CryptoSuite, type OwnKeys, ownKeysOf } from "../src/suite.js"

/** Verdicts of this process: a message is checked by everybody it passes. */
const VERDICTS = new Map<string, boolean>()

/** The platform's suite: the same bytes and verdicts as the portable one, which a test runs too, in less time. */
export const suite: CryptoSuite = {
  ...nodeSuite,
  verify(key, message, signature) {
    const name = [key, message, signature].map(toHex).join()
    const verdict = VERDICTS.get(name) ?? nodeSuite.verify(key, message, signature)
    VERDICTS.set(name, verdict)
    return verdict
  },
}

export type TestKeys = OwnKeys & { readonly signingKey: Uint8Array }

const keysOf = (name: string): TestKeys => {
  const sealing = insecureSeededSecret(name, "sealing").expose()
  const signing = insecureSeededSecret(name, "signing").expose()
  const signingKey = privateFromRaw("ed25519", signing)
  const sealingKey = privateFromRaw("x25519", sealing)
  return {
    ...ownKeysOf(signing, sealing),
    sign: (message) => signBytes(signingKey, message),
    agree: (peer) => x25519(sealingKey, peer),
  }
}
/** The keys of a participant on the portable implementation. */
export const portableKeysFor = (name: string): TestKeys =>
  ownKeysOf(insecureSeededSecret(name, "signing").expose(), insecureSeededSecret(name, "sealing").expose())

const KEYS = new Map<string, TestKeys>()
/** The keys of a participant: they follow from its name. */
export const keysFor = (name: string): TestKeys => {
  const known = KEYS.get(name) ?? keysOf(name)
  KEYS.set(name, known)
  return known
}

/** The key that rosters are signed with. */
export const authorityKey: Uint8Array = keysFor("authority").signingKey

type Parts = "model" | "training" | "server" | "quantisation" | "cohort" | "deadlines"
/** Changes to a study, one level deep. */
export type StudyChanges = Partial<Omit<Study, Parts>> & { readonly [P in Parts]?: Partial<Study[P]> }

/** A small study that trains in milliseconds. */
export const testStudy = (facilities = 4, changes: StudyChanges = {}): Study => {
  const { model, training, server, quantisation, cohort, deadlines, ...rest } = changes
  const study: Study = {
    protocol: PROTOCOL_VERSION,
    nonce: new Uint8Array(32).fill(7),
    name: "test",
    rounds: 2,
    attempts: 3,
    protection: "shamir",
    validation: "report",
    reporting: { subgroups: [] },
    insecureSeed: 1,
    syntheticData: true,
    privacy: null,
    statistics: null,
    evaluation: null,
    data: null,
    keys: null,
    ring: null,
    ...rest,
    model: { kind: "logistic-regression", features: ["a", "b", "c"], ...model } as Study["model"],
    training: {
      loss: "binary-cross-entropy",
      optimiser: "sgd",
      learningRate: 0.1,
      steps: 6,
      batchSize: 3,
      fineTuneSteps: 0,
      fineTuneLearningRate: 0.1,
      proximalMu: 0,
      correction: "none",
      ditto: null,
      ...training,
    },
    server: { strategy: "fedavg", learningRate: 1, beta1: 0.9, beta2: 0.999, tau: 1e-8, ...server },
    quantisation: { clipNorm: 1, fractionBits: 14, weights: "exact", largestWeight: 64, ...quantisation },
    cohort: { ...defaultCohort(facilities), ...cohort },
    deadlines: { collect: 60_000, answer: 20_000, ...deadlines },
  }
  return { ...study, keys: rest.keys ?? defaultKeys(study, facilities) }
}

/** A policy that lets a seeded test study pass and reports metrics. */
export const testPolicy = (changes: Partial<LocalPolicy> = {}): LocalPolicy => ({
  ...DEFAULT_POLICY,
  protections: ["plain", "shamir", "ckks", "bfv", "masked"],
  metrics: "exact",
  insecureSeed: true,
  ...changes,
})

export const facilityNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `clinic-${i + 1}`)
export const fogNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `fog-${i + 1}`)

export const participant = (
  name: string,
  role: Participant["role"],
  parent: string | null = null,
): Participant => ({
  id: participantId(name),
  name,
  role,
  parent: parent === null ? null : participantId(parent),
  address: role === "facility" ? "" : `${name}.example:8443`,
  signingKey: keysFor(name).signingKey,
  sealingKey: keysFor(name).sealingKey,
  tlsKeyHash: hash("test-tls", participantId(name)),
})

/** A leader, fogs, and facilities: the first ones talk to the leader directly, the others belong to the fogs in turn. */
export const rosterOf = (
  study: Study,
  facilities: number | readonly string[],
  fogs: number,
  direct = fogs === 0 ? Number.POSITIVE_INFINITY : 0,
): Roster => ({
  study: studyDigest(study),
  version: 1,
  issuedAt: 1_000,
  participants: inOrder([
    participant("leader", "leader"),
    ...fogNames(fogs).map((name) => participant(name, "fog", "leader")),
    ...(typeof facilities === "number" ? facilityNames(facilities) : facilities).map((name, i) =>
      participant(name, "facility", i < direct ? "leader" : `fog-${(i % fogs) + 1}`),
    ),
  ]),
})

const inOrder = (participants: readonly Participant[]): readonly Participant[] =>
  [...participants].sort((a, b) => (toHex(a.id) < toHex(b.id) ? -1 : 1))

/** The roster after some have left and others joined, each under a fog or the leader. */
export const changedRoster = (
  roster: Roster,
  changes: {
    readonly leave?: readonly string[]
    readonly join?: Readonly<Record<string, string>>
    readonly fogs?: readonly string[]
    readonly version?: number
  },
): Roster => {
  const { leave = [], join = {}, fogs = [], version = roster.version + 1 } = changes
  return {
    ...roster,
    version,
    issuedAt: roster.issuedAt + 1_000,
    participants: inOrder([
      ...roster.participants.filter(({ name }) => !leave.includes(name)),
      ...fogs.map((name) => participant(name, "fog", "leader")),
      ...Object.entries(join).map(([name, parent]) => participant(name, "facility", parent)),
    ]),
  }
}

/** A roster as the authority signs it. */
export const signed = (roster: Roster, study: Study): Uint8Array =>
  signRoster(roster, encodeStudy(study), keysFor("authority").sign)

/** A directory of a checked study. */
export const directoryOf = (
  study: Study,
  facilities: number | readonly string[],
  fogs: number,
  direct?: number,
): Directory => {
  checkStudy(study, typeof facilities === "number" ? facilities : facilities.length)
  return new Directory(rosterOf(study, facilities, fogs, direct))
}

/** Records that a line separates, with a few on the wrong side; each facility has another number of them. */
export const toyRecords = (facility: string, columns: number, rows: number): Examples => {
  const random = insecureSeededRandom(facility, "records")
  const draw = (): number => (random.bytes(1)[0] as number) / 128 - 1
  const features = Float64Array.from({ length: rows * columns }, draw)
  const labels = Uint8Array.from({ length: rows }, (_, i) => {
    let score = 0.3 * draw()
    for (let j = 0; j < columns; j++)
      score += (j % 2 === 0 ? 1 : -0.5) * (features[i * columns + j] as number)
    return score > 0 ? 1 : 0
  })
  return { rows, columns, features, labels }
}

/** A copy with one bit turned over. */
export const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
  const out = bytes.slice()
  const at = Math.floor(bit / 8) % out.length
  out[at] = (out[at] as number) ^ (1 << (bit % 8))
  return out
}

/** Every way of spoiling bytes that a transport could come up with: cut, grown, one bit over, all other. */
export const spoiled = (bytes: Uint8Array): ReadonlyMap<string, Uint8Array> =>
  new Map([
    ["empty", new Uint8Array(0)],
    ["cut by one byte", bytes.slice(0, -1)],
    ["cut by half", bytes.slice(0, bytes.length >> 1)],
    ["with one more byte", concatBytes(bytes, Uint8Array.of(0))],
    ["with a bit flipped at the front", flipped(bytes, 0)],
    ["with a bit flipped in the middle", flipped(bytes, 4 * bytes.length)],
    ["with a bit flipped at the end", flipped(bytes, 8 * bytes.length - 1)],
    ["foreign", insecureSeededRandom("foreign").bytes(bytes.length)],
    ["zero", new Uint8Array(bytes.length)],
  ])

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => equalBytes(a, b)
