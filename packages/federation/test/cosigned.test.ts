import { describe, expect, it } from "vitest"
import { checkCertificate, sameProposal } from "../src/cosigned.js"
import { certificateDigest, type Proposal, type SignatureList } from "../src/messages.js"
import { participantId } from "../src/roster.js"
import { quorum } from "../src/study.js"
import { codeOf, textOf } from "./errors.js"
import { directoryOf, facilityNames, flipped, keysFor, suite, testStudy } from "./members.js"

const id = (name: string): Uint8Array => participantId(name)
const proposalOf = (names: readonly string[]): Proposal => ({
  spec: {
    study: new Uint8Array(32),
    round: 1,
    attempt: 1,
    purpose: "update",
    epoch: 0,
    roster: new Uint8Array(32).fill(4),
    model: new Uint8Array(32).fill(1),
  },
  cohort: names.map((name) => ({ facility: id(name), digest: new Uint8Array(32).fill(2) })),
  headSeq: 7,
  head: new Uint8Array(32).fill(3),
  headers: [],
})
const signedBy = (names: readonly string[], proposal: Proposal): SignatureList =>
  names.map((name) => ({ facility: id(name), signature: keysFor(name).sign(certificateDigest(proposal)) }))

describe("[S3] a certificate", () => {
  it.each([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])("of %d facilities needs more than (n + c) / 2 of them", (n) => {
    const study = testStudy(n)
    const directory = directoryOf(study, n, 2)
    const names = facilityNames(n)
    const proposal = proposalOf(names)
    const check = (signatures: SignatureList) => () =>
      checkCertificate(suite, study, directory, proposal, signatures)
    const needed = Math.floor((n + study.cohort.colluders) / 2) + 1
    expect(quorum(study, n)).toBe(needed)
    for (let count = 0; count < needed; count++)
      expect([count, codeOf(check(signedBy(names.slice(0, count), proposal)))]).toEqual([
        count,
        "cohort/uncertified",
      ])
    for (let count = needed; count <= n; count++)
      expect(check(signedBy(names.slice(n - count), proposal))()).toBeUndefined()
  })

  const study = testStudy(5)
  const directory = directoryOf(study, 5, 2)
  const names = facilityNames(5)
  const proposal = proposalOf(names.slice(0, 4))
  const full = signedBy(names.slice(0, 4), proposal)
  const tooFew = full.slice(0, 3)
  const check = (signatures: SignatureList) => () =>
    checkCertificate(suite, study, directory, proposal, signatures)

  it("of 4 of 5 holds, also with signatures of facilities outside the cohort", () => {
    expect(check(full)()).toBeUndefined()
    expect(check(signedBy(names.slice(1), proposal))()).toBeUndefined()
  })

  it("of 3 of 5 says how many it lacks", () => {
    expect(textOf(check(tooFew))).toMatchInlineSnapshot(`
      "cohort/uncertified: The list carries 3 valid signatures of enrolled facilities; 4 of 5 are needed.
        remedy: Only a certified list is ever opened: ask the leader's operator why it asked without one.
        see: docs/reference/errors.md#cohortuncertified"
    `)
  })

  it("does not count a facility twice", () => {
    expect(codeOf(check([...tooFew, ...tooFew]))).toBe("cohort/uncertified")
  })

  it("does not count the leader, a fog or a stranger", () => {
    for (const name of ["leader", "fog-1", "stranger"])
      expect(codeOf(check([...tooFew, ...signedBy([name], proposal)]))).toBe("cohort/uncertified")
  })

  it("does not count a signature of another key, of another list, or with a bit turned over", () => {
    const last = full[3] as SignatureList[number]
    const others: SignatureList = [
      { ...last, signature: (full[0] as SignatureList[number]).signature },
      ...signedBy(["clinic-4"], proposalOf(names)),
      ...signedBy(["clinic-4"], { ...proposal, head: new Uint8Array(32) }),
      ...signedBy(["clinic-4"], { ...proposal, spec: { ...proposal.spec, attempt: 2 } }),
      { ...last, signature: flipped(last.signature, 9) },
    ]
    for (const other of others) expect(codeOf(check([...tooFew, other]))).toBe("cohort/uncertified")
    expect(check([...tooFew, last])()).toBeUndefined()
  })

  it("is for one proposal: spec, cohort and head", () => {
    expect(sameProposal(proposal, { ...proposal, headers: [] })).toBe(true)
    expect(sameProposal(proposal, proposalOf(names))).toBe(false)
    expect(sameProposal(proposal, { ...proposal, head: new Uint8Array(32) })).toBe(false)
  })
})
