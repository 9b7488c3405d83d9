import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { chooseSumParameters } from "../src/threshold/choose-parameters.js"
import { trialMembers } from "../src/threshold/member.js"
import { ThresholdPublicSum } from "../src/threshold/public-sum.js"
import { type ThresholdLiteral, ThresholdParameters } from "../src/threshold/threshold-parameters.js"
import { contextOf, study } from "./sum-schemes.js"

const { literal } = chooseSumParameters({ facilities: 3, threshold: 2, values: 4, largest: 1000 })
const parameters = ThresholdParameters.of(literal as ThresholdLiteral)
const members = trialMembers(parameters, { study, epoch: 1 }, insecureSeededRandom("members"))
const server = new ThresholdPublicSum(parameters)
const context = contextOf()
const vectors = [
  Int32Array.of(1, -2, 3, 4),
  Int32Array.of(10, 20, -30, 40),
  Int32Array.of(100, 200, 300, -400),
]
const used = expect.objectContaining({ code: "lattice/already-used" })

describe("a member", () => {
  const sent = members.map((member, i) => member.encrypt(context, vectors[i] as Int32Array))
  const request = { context, cohort: [1, 2, 3], active: [1, 3] }
  const answers = [members[0], members[2]].map((member) => ({
    point: member?.point as number,
    opening: member?.answer(request) as Uint8Array,
  }))

  it("encrypts, and two of three open the sum", () => {
    expect(server.open(request, server.add(context, sent), answers)).toEqual(
      Int32Array.of(111, 218, 273, -356),
    )
    expect(members[0]?.ledger.polynomialsLeft).toBe(parameters.openable - 1)
    expect(members[1]?.ledger.polynomialsLeft).toBe(parameters.openable)
  })

  it("gives the same bytes when asked the same again", () => {
    expect(members[0]?.encrypt(context, vectors[0] as Int32Array)).toEqual(sent[0])
    expect(members[0]?.answer({ ...request, active: [3, 1] })).toEqual(answers[0]?.opening)
  })

  it("refuses other values, another active set or another cohort for the same sum", () => {
    expect(() => members[0]?.encrypt(context, vectors[1] as Int32Array)).toThrow(used)
    expect(() => members[0]?.answer({ ...request, active: [1, 2] })).toThrow(used)
    expect(() => members[0]?.answer({ ...request, cohort: [1, 2] })).toThrow(used)
    expect(members[0]?.answer(request)).toEqual(answers[0]?.opening)
  })

  it("keeps its ledger as it was when it refuses for another reason", () => {
    const next = contextOf({ attempt: 2 })
    expect(() => members[1]?.answer({ context: next, cohort: [1, 2], active: [1, 3] })).toThrow(
      expect.objectContaining({ code: "lattice/bad-opening" }),
    )
    expect(() => members[1]?.encrypt(next, new Int32Array(3))).toThrow(
      expect.objectContaining({ code: "lattice/bad-polynomial" }),
    )
    expect(members[1]?.encrypt(next, vectors[1] as Int32Array).length).toBe(server.payloadLength)
    expect(members[1]?.answer({ context: next, cohort: [1, 2], active: [1, 2] }).length).toBe(
      server.payloadLength,
    )
  })
})
