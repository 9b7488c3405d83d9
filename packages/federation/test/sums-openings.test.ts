import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { lagrange } from "@consilium/lattice/sums/polynomial-sharing"
import { polynomialSeed } from "@consilium/lattice/sums/sum-context"
import { ceremonyId } from "@consilium/lattice/threshold/key-check"
import { describe, expect, it } from "vitest"
import { isKeyed, isLattice } from "../src/study.js"
import type { EpochKeys } from "../src/sums/facility/epoch-keys.js"
import type { OwnSide } from "../src/sums/facility/facility-scheme.js"
import { ceremonyOf, sumContextOf, thresholdParameters } from "../src/sums/lattice-parameters.js"
import { protectionOf } from "../src/sums/protections.js"
import type { PartialOpening, SumRequest, SumSetting } from "../src/sums/secure-sum.js"
import { epochKeysOf } from "./epoch-keys.js"
import { codeOf, errorOf } from "./errors.js"
import { facilityNames, spoiled } from "./members.js"
import {
  anotherAttempt,
  answerAll,
  asIntegers,
  combined,
  digestOf,
  NAMES,
  OTHER_LENGTH,
  obviousSum,
  otherSettings,
  protectAll,
  protectionStream,
  sideOf,
  sumScene,
  those,
  updatesOf,
  wholeSum,
  without,
} from "./sum-runs.js"

describe.each(those((protection) => protectionOf({ protection }).opened !== null))(
  "%s, which facilities open",
  (protection) => {
    const scene = sumScene(protection, 5, 15)
    const { setting, sum, scheme, directory, threshold, names } = scene
    const lattice = isLattice({ protection })
    const named = sum.opened === "named"
    const updates = updatesOf(NAMES, 15, "random")
    const expected = obviousSum(updates, 15)
    const sent = protectAll(scene, updates)
    const answered = answerAll(scene, sent)
    const { request, partials } = answered
    const openers = partials.map(({ facility }) => directory.get(facility).name)
    const combine = (given: readonly PartialOpening[]) =>
      asIntegers(sum.combine(setting, request, sent.regions, given))
    const [first, ...rest] = partials as [PartialOpening, ...PartialOpening[]]
    const tooFew = lattice ? "lattice/bad-opening" : "sharing/too-few-shares"

    it(named ? "is opened by the t that are named" : "is opened by any t, and by more", () => {
      if (named) {
        for (const gone of names) {
          const others = names.filter((name) => name !== gone)
          expect(asIntegers(combined(scene, sent, answerAll(scene, sent, others)))).toEqual(expected)
        }
        return
      }
      for (const left of partials) expect(combine(partials.filter((p) => p !== left))).toEqual(expected)
      expect(combine(partials)).toEqual(expected)
    })

    it("[S22] is not opened by t - 1, or by nobody", () => {
      for (const count of [0, 1, threshold - 1])
        expect(codeOf(() => combine(partials.slice(0, count)))).toBe(tooFew)
    })

    /** What a facility answers that holds shares of other secrets. */
    const falseAnswer = (name: string): PartialOpening => {
      const others = protectAll(scene, updates, 2)
      const keys = sum.keyed ? epochKeysOf(scene.study, directory, { seed: 2 }) : scene.keys
      const own = { ...sideOf({ keys }, name) }
      const opening = scheme.partial?.(setting, own, request, others.held.get(name) ?? new Map()).opening
      return { facility: own.me, opening: opening as Uint8Array }
    }

    it("[S22] gives t - 1 and an answer they make up another sum, or none", () => {
      const forged = falseAnswer(openers[threshold - 1] as string)
      const mixed = [...partials.slice(0, threshold - 1), forged]
      if (lattice) expect(codeOf(() => combine(mixed))).toMatch(/^lattice\/(bad-opening|out-of-range)$/)
      else {
        try {
          expect(combine(mixed)).not.toEqual(expected)
        } catch (error) {
          if (!(error instanceof ConsiliumError)) throw error
          expect(error.code).toBe("sharing/out-of-range")
        }
      }
    })

    if (!named)
      it("with more than t answers, one false one is noticed, whosever it is", () => {
        for (const [at, name] of openers.entries()) {
          const mixed = partials.map((p, i) => (i === at ? falseAnswer(name) : p))
          expect(codeOf(() => combine(mixed))).toBe(lattice ? "lattice/bad-opening" : "sharing/inconsistent")
        }
      })

    const noticed = [...spoiled(first.opening).keys()].filter((how) => lattice || OTHER_LENGTH.test(how))
    it.each(noticed)("refuses an answer that is %s, and changes nothing", (how) => {
      const opening = spoiled(first.opening).get(how) as Uint8Array
      const before = [opening, ...sent.regions].map(digestOf)
      expect(codeOf(() => combine([{ ...first, opening }, ...rest]))).toBe(
        lattice ? "lattice/malformed" : "encoding/malformed",
      )
      expect([opening, ...sent.regions].map(digestOf)).toEqual(before)
      expect(combine(partials)).toEqual(expected)
    })

    it("refuses an answer given twice, in another's name, or of somebody who is no facility", () => {
      const twice = [first, first, ...rest.slice(1)]
      expect(codeOf(() => combine(twice))).toBe(lattice ? "lattice/bad-opening" : "sharing/bad-parameters")
      const [second] = rest as [PartialOpening]
      const swapped = [
        { ...first, opening: second.opening },
        { ...second, opening: first.opening },
        ...rest.slice(1),
      ]
      expect(codeOf(() => combine(swapped))).toBe(lattice ? "lattice/other-sum" : "sharing/inconsistent")
      const stranger = { ...first, facility: directory.leader.id }
      expect(codeOf(() => combine([stranger, ...rest]))).toBe("identity/unknown-participant")
    })

    it("is answered by nobody who lacks a share of one of the list, and says whose", () => {
      const held = [...(sent.held.get("clinic-1") ?? [])]
      const parts = new Map(held.filter(([dealer]) => dealer !== toHex(directory.named("clinic-3").id)))
      const lost = (from: string, to: string) => from === "clinic-3" && to === "clinic-1"
      const keys = sum.keyed ? epochKeysOf(scene.study, directory, { lost }) : scene.keys
      const own = sideOf({ keys }, "clinic-1")
      const asked = named
        ? ["clinic-1", ...without("clinic-1")].slice(0, threshold).map((name) => directory.named(name).id)
        : []
      const answer = (cohort: readonly Uint8Array[]) =>
        scheme.partial?.(setting, own, { cohort, openers: asked }, parts).opening
      const refusal = errorOf(() => answer(sent.cohort))
      expect([refusal.code, refusal.message]).toEqual([
        "cohort/missing-part",
        "This facility holds no checked share of clinic-3.",
      ])
      const others = sent.cohort.filter((id) => directory.get(id).name !== "clinic-3")
      expect(answer(others)?.length).toBe(first.opening.length)
    })

    if (lattice)
      it.each([...otherSettings(scene).keys()])("refuses answers of another %s", (what) => {
        const other = otherSettings(scene).get(what) as SumSetting
        expect(codeOf(() => sum.combine(other, request, sent.regions, partials))).toBe("lattice/other-sum")
        const [, ...cohort] = request.cohort
        expect(codeOf(() => sum.combine(setting, { ...request, cohort }, sent.regions, partials))).toBe(
          "lattice/other-sum",
        )
      })
  },
)

describe.each(those((protection) => isKeyed({ protection })))(
  "%s, which takes keys of an epoch",
  (protection) => {
    const scene = sumScene(protection, 5, 15)
    const { setting, sum, scheme, directory, names, threshold } = scene
    const updates = updatesOf(NAMES, 15, "random")
    const expected = obviousSum(updates, 15)
    const sent = protectAll(scene, updates)
    const ids = (chosen: readonly string[]): readonly Uint8Array[] =>
      chosen.map((name) => directory.named(name).id)
    const openers = ids(names.slice(0, threshold))
    const me = names[0] as string
    const none: ReadonlyMap<string, Uint8Array> = new Map()
    const side = sent.own.get(me) as OwnSide
    const parameters = thresholdParameters(setting)
    const answer = (own: OwnSide, request: SumRequest, where = setting) =>
      scheme.partial?.(where, own, request, none) as { opening: Uint8Array; epochKeys: EpochKeys }
    const request = { cohort: sent.cohort, openers }

    it("[S5] refuses a second opening, other openers and another list, and answers in another attempt", () => {
      const before = side.epochKeys?.ledger.encode()
      const { opening, epochKeys } = answer(side, request)
      const after = { ...side, epochKeys }
      const kept = epochKeys.ledger.encode()
      const others = ids([me, ...names.slice(2, threshold + 1)])
      for (const second of [
        request,
        { ...request, openers: others },
        { ...request, cohort: sent.cohort.slice(1) },
        { cohort: [...sent.cohort].reverse(), openers: [...openers].reverse() },
      ])
        expect(codeOf(() => answer(after, second))).toBe("lattice/already-used")
      expect(after.epochKeys.ledger.encode()).toEqual(kept)
      expect(side.epochKeys?.ledger.encode()).toEqual(before)
      const next = anotherAttempt(scene, { attempt: 2 }).setting
      expect(digestOf(answer(after, request, next).opening)).not.toBe(digestOf(opening))
    })

    /** What hides the errors in an answer: the answer less what its shares alone would give. */
    const floodingOf = (request: SumRequest, opening: Uint8Array): readonly bigint[] => {
      const { ring } = parameters
      const ceremony = ceremonyId(parameters, ceremonyOf(setting))
      const active = request.openers.map((id) => directory.pointOf(id))
      const asked = new Set(request.cohort.map((id) => directory.pointOf(id)))
      const weighted = ring.zeroEvaluations()
      for (const share of side.epochKeys?.shares ?? [])
        if (asked.has(share.dealer)) ring.add(weighted, share.use(ceremony), weighted)
      ring.scaleByResidues(weighted, lagrange(ring, active, directory.pointOf(side.me)), weighted)
      const row = ring.uniform(polynomialSeed("sum", sumContextOf(setting), 0))
      const mask = ring.inverse(ring.multiply(row, weighted))
      return ring.toBigInts(ring.subtract(ring.unpackCoefficients(opening.subarray(16, -8)), mask))
    }

    it("floods every request with noise of its own, as wide as it should be, and one request with the same", () => {
      const requests = [
        request,
        { ...request, openers: ids([me, ...names.slice(2, threshold + 1)]) },
        { ...request, cohort: sent.cohort.slice(1) },
      ]
      const opened = () => requests.map((asked) => answer(side, asked).opening)
      expect(opened().map(digestOf)).toEqual(opened().map(digestOf))
      const noise = opened().map((opening, i) => floodingOf(requests[i] as SumRequest, opening))
      const sigma = Number(parameters.floodSigma)
      const deviation = (values: readonly bigint[]): number =>
        Math.sqrt(values.reduce((sum, value) => sum + Number(value) ** 2, 0) / values.length) / sigma
      // 4096 places: off by 1.1 in a hundred as a rule, by ten with a probability below 10^-18
      for (const one of noise) expect(Math.abs(deviation(one) - 1)).toBeLessThan(0.1)
      const [first, ...others] = noise as [readonly bigint[], ...(readonly bigint[])[]]
      for (const other of others) {
        const difference = first.map((value, i) => value - (other[i] as bigint))
        expect(Math.abs(deviation(difference) / Math.SQRT2 - 1)).toBeLessThan(0.1)
      }
    })

    it("refuses a second update in one attempt, the same or another, and protects one in the next", () => {
      const values = updates.get(me) as Int32Array
      const protect = (own: OwnSide, given: Int32Array, where = setting) =>
        scheme.protect(where, own, given, protectionStream(me))
      for (const second of [values, values.map((value) => -value)])
        expect(codeOf(() => protect(side, second))).toBe("lattice/already-used")
      const next = anotherAttempt(scene, { attempt: 2 }).setting
      const [one, other] = [sent.updates.get(me)?.payload, protect(side, values, next).payload]
      // the same values from the same stream, under other polynomials
      expect(digestOf(one as Uint8Array)).not.toBe(digestOf(other as Uint8Array))
    })

    it("[S22] answers nobody but those named, and only where t are", () => {
      const code = (asked: SumRequest) => codeOf(() => answer(side, asked))
      const others = ids(names.slice(1))
      expect(code({ ...request, openers: others })).toBe("lattice/bad-opening")
      expect(code({ ...request, openers: openers.slice(1) })).toBe("lattice/bad-opening")
      expect(code({ ...request, openers: ids(names) })).toBe("lattice/bad-opening")
      expect(code({ ...request, openers: [] })).toBe("lattice/bad-opening")
      expect(code({ ...request, openers: [openers[0], ...openers.slice(0, -1)] as Uint8Array[] })).toBe(
        "lattice/bad-opening",
      )
      expect(code({ ...request, cohort: sent.cohort.slice(0, 1) })).toBe("lattice/bad-opening")
      expect(code({ ...request, openers: [directory.leader.id, ...openers.slice(1)] })).toBe(
        "identity/unknown-participant",
      )
    })

    it("is not opened by answers of others than those named", () => {
      const { partials } = answerAll(scene, sent)
      const last = answerAll(scene, sent, names.slice(1)).partials.at(-1) as PartialOpening
      const mixed = [...partials.slice(0, -1), last]
      expect(codeOf(() => sum.combine(setting, request, sent.regions, mixed))).toBe("lattice/bad-opening")
      expect(codeOf(() => sum.combine(setting, request, sent.regions, [...partials, last]))).toBe(
        "lattice/bad-opening",
      )
      // the last one's answer names other openers, whatever it is passed off as
      const passedOff = [
        ...partials.slice(0, -1),
        { ...last, facility: partials.at(-1)?.facility as Uint8Array },
      ]
      expect(codeOf(() => sum.combine(setting, request, sent.regions, passedOff))).toBe("lattice/other-sum")
    })

    it("[S5] protects and opens nothing under the keys of another epoch, another study, or none", () => {
      const values = updates.get(me) as Int32Array
      const codes = (own: OwnSide, where: SumSetting) => [
        codeOf(() => scheme.protect(where, own, values, protectionStream(me))),
        codeOf(() => answer(own, request, where)),
      ]
      const fresh = sideOf(scene, me)
      const epoch = anotherAttempt(scene, { epoch: 2 }).setting
      expect(codes(fresh, epoch)).toEqual(["keys/other-epoch", "keys/other-epoch"])
      expect(codes({ ...fresh, epochKeys: null }, setting)).toEqual(["keys/other-epoch", "keys/other-epoch"])
      const study = otherSettings(scene).get("study") as SumSetting
      expect(codes(fresh, study)).toEqual(["lattice/other-sum", "lattice/other-sum"])
      // keys that only say that they are of the epoch
      const second = epochKeysOf(scene.study, directory, { epoch: 2 }).get(me) as EpochKeys
      expect(codes({ ...fresh, epochKeys: { ...second, epoch: 1 } }, setting)).toEqual([
        "lattice/other-sum",
        "lattice/other-sum",
      ])
    })

    it("opens under the keys of the next epoch as under those of this", () => {
      const keys = epochKeysOf(scene.study, directory, { epoch: 2 })
      const next = { ...anotherAttempt(scene, { epoch: 2 }), keys }
      expect(wholeSum(next, updates)).toEqual(expected)
    })

    it("is opened by a facility whose own key is not among them, which protects nothing", () => {
      const keys = epochKeysOf(scene.study, directory, { dealers: without(me) })
      const left = { ...scene, keys }
      expect(codeOf(() => protectAll(left, updates))).toBe("keys/left-out")
      const others = new Map([...updates].filter(([name]) => name !== me))
      expect(wholeSum(left, others, names.slice(0, threshold))).toEqual(obviousSum(others, 15))
    })

    it("opens as many sums as the study lets an epoch's keys open, and no more", () => {
      const short = sumScene(protection, 3, 15, {
        quantisation: { weights: "equal", largestWeight: 1 },
        keys: { openings: 3, days: 1 },
      })
      const few = updatesOf(facilityNames(3), 15, "random")
      let { keys } = short
      const next = (attempt: number) => {
        const now = { ...anotherAttempt(short, { attempt }), keys }
        const sending = protectAll(now, few)
        const answered = answerAll(now, sending)
        keys = new Map([...answered.own].map(([name, { epochKeys }]) => [name, epochKeys as EpochKeys]))
        return asIntegers(combined(now, sending, answered))
      }
      for (const attempt of [1, 2, 3]) expect(next(attempt)).toEqual(obviousSum(few, 15))
      expect(codeOf(() => next(4))).toBe("lattice/worn-out")
    })
  },
)
