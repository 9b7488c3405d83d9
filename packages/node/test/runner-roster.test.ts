import { decode } from "@consilium/base/encoding"
import { milliseconds } from "@consilium/base/units"
import { messageCodec } from "@consilium/federation/messages"
import { Directory } from "@consilium/federation/roster"
import { studyDigest } from "@consilium/federation/study"
import { expect, it } from "vitest"
import {
  authorityKey,
  changedRoster,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  suite,
  testStudy,
} from "../../federation/test/members.js"
import { LeaderMachine, leaderRoster, leaderStart, NO_LEDGERS } from "../src/roles/leader-machine.js"
import { StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { memoryStores } from "../src/store/memory-stores.js"
import { SealedMemory } from "../src/store/sealed-memory.js"

const ALL = { envelopes: 100, bytes: 1 << 30 }

it("[S17] a leader tells a new roster to its direct children of before and of after, and what follows to those of after", async () => {
  const study = testStudy(4)
  const directory = directoryOf(study, 4, 0)
  const next = changedRoster(rosterOf(study, 4, 0), {
    leave: ["clinic-1"],
    join: { "clinic-5": "leader", "clinic-6": "fog-1" },
    fogs: ["fog-1"],
  })
  const me = directory.leader
  const keys = keysFor(me.name)
  const first = signed(rosterOf(study, 4, 0), study)
  const runner = await StudyRunner.open({
    study: studyDigest(study),
    me,
    keys,
    store: await memoryStores().study(studyDigest(study)),
    box: await openJournalBox(new SealedMemory(), studyDigest(study)),
    machine: () => new LeaderMachine({ study, directory, me, keys, suite, authorityKey }, first, NO_LEDGERS),
    now: () => 1_800_000_000_000,
    narrate: () => undefined,
  })
  runner.begin()
  await runner.post(leaderRoster(signed(next, study)))
  await runner.post(leaderStart())
  const after = new Directory(next)
  const told = async (name: string, from: Directory): Promise<readonly string[]> => {
    const { envelopes } = await runner.mailbox(from.named(name)).next(ALL, milliseconds(0))
    return envelopes.map(({ body }) => decode(messageCodec, body).type)
  }
  expect(await told("clinic-1", directory)).toEqual(["roster"])
  for (const name of ["clinic-2", "clinic-3", "clinic-4"])
    expect(await told(name, directory)).toEqual(["roster", "announce"])
  for (const name of ["clinic-5", "fog-1"]) expect(await told(name, after)).toEqual(["roster", "announce"])
  expect(await told("clinic-6", after)).toEqual([])
  runner.stop()
})
