import { toHex } from "@consilium/base/bytes"
import { checkLedgerEvidence } from "@consilium/federation/ledger-evidence"
import { participantId } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { describe, expect, it } from "vitest"
import { type Options, type Outcome, runStudy } from "../../federation/test/harness.js"
import {
  authorityKey,
  changedRoster,
  facilityNames,
  rosterOf,
  signed,
  suite,
} from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { insteadOf } from "../../federation/test/scenes.js"
import { LeaderLedgers } from "../src/roles/leader-ledgers.js"

const CLINIC = participantId("clinic-1")

/** A study of a leader, whose log can grow. */
const gathered = ({ study, log }: Outcome, upTo = log.length) => {
  const held = { length: upTo }
  return {
    held,
    id: toHex(studyDigest(study)),
    study: study as Study,
    firstRoster: signed(rosterOf(study, 4, 2), study),
    get length() {
      return held.length
    },
    async *entries(after: number) {
      for (const entry of log.slice(after, held.length)) yield entry
    },
  }
}
const privateRun = (options: Options = {}): Outcome =>
  runStudy({ ...options, study: { ...withPrivacy(), protection: "plain", ...options.study } })
const headsOf = async (ledgers: LeaderLedgers, facility = CLINIC) =>
  (await ledgers.of(facility)).map(({ submission, certificate }) => [
    submission.submission.ledger?.seq,
    certificate !== null,
  ])

describe("what a leader has seen of privacy ledgers", () => {
  it.each(["plain", "shamir"] as const)(
    "[S21] is the newest certified head of each facility under %s, and the facility believes it",
    async (protection) => {
      const run = privateRun({ study: { protection } })
      const ledgers = new LeaderLedgers(() => [gathered(run)])
      for (const name of facilityNames(4)) {
        const [newest, ...others] = await ledgers.of(participantId(name))
        expect(others).toEqual([])
        const me = run.directory.named(name)
        expect(newest && checkLedgerEvidence({ suite, me, authorityKey }, newest)).toEqual({
          ...run.ledgers[name],
          certified: true,
        })
      }
    },
  )

  it("grows with the log, over all studies, whichever ends first", async () => {
    const first = privateRun()
    const second = privateRun({ study: { name: "second" }, ledgers: first.ledgers })
    const [one, two] = [gathered(first, 0), gathered(second, 0)]
    const ledgers = new LeaderLedgers(() => [one, two])
    expect(await headsOf(ledgers)).toEqual([])
    two.held.length = second.log.length
    expect(await headsOf(ledgers)).toEqual([[4, true]])
    one.held.length = first.log.length
    expect(await headsOf(ledgers)).toEqual([[4, true]])
    expect(await headsOf(ledgers, participantId("stranger"))).toEqual([])
  })

  it("[S21] holds what a facility signed last, also where no list with it was certified", async () => {
    // in round 2 nobody's signature reaches the leader
    let certified = 0
    const run = privateRun({
      study: { attempts: 1 },
      speak: (utterance) => {
        if (utterance.message.type === "certificate") certified += 1
        return utterance.message.type === "signature" && certified > 0 ? [] : [utterance]
      },
    })
    expect(run.leader.phase).toBe("aborted")
    const ledgers = new LeaderLedgers(() => [gathered(run)])
    expect(await headsOf(ledgers)).toEqual([
      [2, false],
      [1, true],
    ])
    for (const evidence of await ledgers.of(CLINIC)) {
      const me = run.directory.named("clinic-1")
      expect(() => checkLedgerEvidence({ suite, me, authorityKey }, evidence)).not.toThrow()
    }
  })

  it("is under the roster of its time", async () => {
    const base = privateRun()
    const next = signed(changedRoster(rosterOf(base.study, 4, 2), { leave: ["clinic-4"] }), base.study)
    const run = privateRun({ rosters: [{ during: 1, signed: next }] })
    const [newest] = await new LeaderLedgers(() => [gathered(run)]).of(CLINIC)
    expect(newest?.roster).toEqual(next)
    const me = run.directory.named("clinic-1")
    expect(newest && checkLedgerEvidence({ suite, me, authorityKey }, newest)).toMatchObject({
      certified: true,
    })
    const [gone] = await new LeaderLedgers(() => [gathered(run)]).of(participantId("clinic-4"))
    expect(gone?.roster).toEqual(signed(rosterOf(run.study, 4, 2), run.study))
  })

  it("passes over studies without privacy, and over updates that were refused", async () => {
    const plain = runStudy({})
    expect(await headsOf(new LeaderLedgers(() => [gathered(plain)]))).toEqual([])
    const run = privateRun({
      speak: insteadOf("clinic-1", "update", (message) => {
        const { submission, signature } = message.submission
        const ledger = { seq: 77, hash: new Uint8Array(32) }
        return [{ ...message, submission: { submission: { ...submission, ledger }, signature } }]
      }),
    })
    expect(await headsOf(new LeaderLedgers(() => [gathered(run)]))).toEqual([])
  })
})
