import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { newSecretKey } from "@consilium/base/random"
import { milliseconds } from "@consilium/base/units"
import { ROW } from "@consilium/federation/figures/figures-vector"
import { modelHashOf } from "@consilium/federation/model"
import type { Directory, Participant } from "@consilium/federation/roster"
import { type Protection, type Strategy, type Study, studyDigest } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  authorityKey,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  suite,
  testPolicy,
  testStudy,
  toyRecords,
} from "../../federation/test/members.js"
import { PrivacyLedger } from "../src/privacy-ledger.js"
import { FacilityMachine, type LocalRecords } from "../src/roles/facility-machine.js"
import { FogMachine } from "../src/roles/fog-machine.js"
import { LeaderMachine, leaderStart, NO_LEDGERS } from "../src/roles/leader-machine.js"
import type { RoleMachine } from "../src/roles/machine.js"
import { RoundSecrets } from "../src/roles/round-secrets.js"
import { StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { memoryStores } from "../src/store/memory-stores.js"
import { SealedFiles } from "../src/store/sealed.js"
import type { StudyStore } from "../src/store/study-store.js"

let folder = ""
let studies = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-roles-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const key = newSecretKey()
const FACILITIES = 4
const FIGURES: Partial<Study> = {
  statistics: {
    bins: 4,
    ranges: [0, 1, 2].map(() => ({ low: -3, high: 3 })),
    mostRows: 100,
    noiseMultiplier: 0,
  },
  evaluation: { bins: 10, every: 1, mostRows: 100, noiseMultiplier: 0, stop: null },
}
/** Keeps its figures to itself. */
const SILENT = "clinic-4"
const ALL = { envelopes: 100, bytes: 1 << 30 }

interface Node {
  readonly me: Participant
  readonly store: StudyStore
  readonly sealed: SealedFiles
  runner: StudyRunner
  machine: RoleMachine
}

/** A whole study on real machines and runners, its messages carried by hand. */
class HandCarried {
  readonly study: Study
  readonly directory: Directory
  readonly nodes = new Map<string, Node>()
  /** Snapshots that were compared, by role. */
  readonly compared = { fog: 0, facility: 0 }

  constructor(protection: Protection, strategy: Strategy, figures: Partial<Study>) {
    this.study = testStudy(FACILITIES, {
      protection,
      server: { strategy, learningRate: strategy === "fedadam" ? 0.05 : 1 },
      reporting: { subgroups: [{ feature: "a", cuts: [0], names: [] }] },
      ...figures,
    })
    this.directory = directoryOf(this.study, FACILITIES, 2)
  }

  async begin(): Promise<void> {
    const place = join(folder, String(studies++))
    for (const me of this.directory.roster.participants) {
      const store = await memoryStores().study(studyDigest(this.study))
      const sealed = await SealedFiles.open(join(place, me.name), key)
      const node = { me, store, sealed } as Node
      this.nodes.set(me.name, node)
      await this.open(node)
    }
    await this.#node("leader").runner.post(leaderStart())
  }

  #node(name: string): Node {
    return this.nodes.get(name) as Node
  }

  machineOf({ me, sealed }: Node, snapshot: Uint8Array | null): RoleMachine {
    const { study, directory } = this
    const context = { study, directory, me, suite, keys: keysFor(me.name), authorityKey }
    const roster = signed(rosterOf(study, FACILITIES, 2), study)
    if (me.role === "leader") return new LeaderMachine(context, roster, NO_LEDGERS)
    if (me.role === "fog") return new FogMachine(context, roster, snapshot)
    const holdOut = toyRecords(`${me.name} later`, 3, 60)
    const records: LocalRecords = {
      featureNames: study.model.features,
      train: toyRecords(me.name, 3, 20),
      holdOut,
      trainRaw: {
        ...toyRecords(me.name, 3, 20),
        names: study.model.features,
        patients: Uint32Array.from({ length: 20 }, (_, i) => i),
      },
      holdOutRaw: {
        ...holdOut,
        names: study.model.features,
        patients: Uint32Array.from({ length: 60 }, (_, i) => i),
      },
      patients: Uint32Array.from({ length: 20 }, (_, i) => i),
      preparation: "declared",
    }
    const secrets = new RoundSecrets(sealed, study, me.name)
    const policy = testPolicy(me.name === SILENT ? { metrics: "none" } : {})
    const ledger = new PrivacyLedger({ facility: me.id, cap: policy.privacy.month })
    ledger.opened()
    return new FacilityMachine({ ...context, policy }, records, secrets, ledger, roster, snapshot)
  }

  /** As a process that starts where the last one has stopped. */
  async open(node: Node): Promise<void> {
    node.runner = await StudyRunner.open({
      study: studyDigest(this.study),
      me: node.me,
      keys: keysFor(node.me.name),
      store: node.store,
      box: await openJournalBox(node.sealed, studyDigest(this.study)),
      machine: (snapshot) => {
        node.machine = this.machineOf(node, snapshot)
        return node.machine
      },
      now: () => 1_800_000_000_000,
      narrate: () => undefined,
    })
    node.runner.begin()
  }

  /** Carries what waits on one side of an edge to the other; whether there was anything. */
  async #carry(from: Node, to: Node): Promise<boolean> {
    from.runner.acknowledge(to.me, to.runner.taken(from.me))
    const { first, envelopes } = await from.runner.mailbox(to.me).next(ALL, milliseconds(0))
    if (envelopes.length === 0) return false
    from.runner.acknowledge(to.me, await to.runner.take(from.me, first, envelopes))
    return true
  }

  /** Runs to the end, doing something after every parcel that was carried. */
  async run(between: (node: Node) => Promise<void>): Promise<void> {
    const deadline = Date.now() + 50_000
    while (![...this.nodes.values()].every(({ runner }) => runner.over)) {
      if (Date.now() > deadline) throw new Error("The study is not over.")
      let carried = false
      for (const node of this.nodes.values()) {
        if (node.me.parent === null) continue
        const parent = this.#node(this.directory.get(node.me.parent).name)
        for (const [from, to] of [
          [node, parent],
          [parent, node],
        ] as const)
          if (await this.#carry(from, to)) {
            carried = true
            await between(to)
          }
      }
      if (!carried) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    for (const { runner } of this.nodes.values()) runner.stop()
  }

  /** What a machine gives of itself makes a machine that gives the same. */
  compare(node: Node): void {
    const snapshot = node.machine.snapshot()
    if (snapshot === null) return
    const again = this.machineOf(node, snapshot)
    expect(toHex(again.snapshot() as Uint8Array)).toBe(toHex(snapshot))
    expect(again.directory.digest).toEqual(node.machine.directory.digest)
    expect(again.signedRoster).toEqual(node.machine.signedRoster)
    this.compared[node.me.role as "fog" | "facility"] += 1
  }

  get leader(): LeaderMachine {
    return this.#node("leader").machine as LeaderMachine
  }
  get outcome() {
    const { state } = this.leader
    const { progress, phase } = state
    return {
      phase,
      model: toHex(modelHashOf(this.study, progress.parameters)),
      rounds: progress.closed.map(({ round, attempt, cohort }) => ({ round, attempt, size: cohort.length })),
      subgroups: this.directory.facilities.map(({ id, name }) => ({
        name,
        report: ("finals" in state ? state.finals.get(toHex(id))?.subgroups : undefined) ?? null,
      })),
      figures: progress.figures.map(({ purpose, round, sum }) => ({ purpose, round, sum: [...sum] })),
    }
  }
}

const idle = (node: Node): Promise<unknown> =>
  // behind all that is under way, a checkpoint as well
  node.runner
    .take({ ...node.me, id: new Uint8Array(16).fill(9) }, 99, [
      {
        study: new Uint8Array(32),
        from: new Uint8Array(16),
        to: new Uint8Array(16),
        body: new Uint8Array(0),
        signature: new Uint8Array(64),
      },
    ])
    .catch(() => undefined)

describe.each([
  ["plain", "fedavg", "no figures", {}],
  ["shamir", "fedavgm", "no figures", {}],
  ["shamir", "fedadam", "figures", FIGURES],
  ["masked", "fedavg", "figures", FIGURES],
] as const)("real machines under %s with %s and %s", (protection, strategy, _, figures) => {
  it("come to the same model when each is started anew again and again", async () => {
    const calm = new HandCarried(protection, strategy, figures)
    await calm.begin()
    await calm.run(async (node) => {
      if (node.me.role === "leader") expect(node.machine.snapshot()).toBeNull()
      else calm.compare(node)
    })
    expect(calm.outcome.phase).toBe("closed")
    expect(calm.outcome.rounds).toEqual([
      { round: 1, attempt: 1, size: 4 },
      { round: 2, attempt: 1, size: 4 },
    ])
    const counted = calm.outcome.figures.map(({ purpose, round, sum }) => ({ purpose, round, first: sum[0] }))
    if ("statistics" in figures)
      expect(counted).toEqual([
        { purpose: "statistics", round: 0, first: 80 * ROW },
        { purpose: "evaluation", round: 1, first: expect.any(Number) },
        { purpose: "evaluation", round: 2, first: expect.any(Number) },
      ])
    else expect(counted).toEqual([])
    // every facility that reports has found both groups large enough, on its records in their own units
    expect(calm.outcome.subgroups).toHaveLength(4)
    for (const { name, report } of calm.outcome.subgroups)
      if (name === SILENT) expect(report).toBeNull()
      else expect(report?.[0]?.reduce((rows, figures) => rows + (figures?.rows ?? 0), 0)).toBe(60)
    expect(calm.compared.fog).toBeGreaterThan(4)
    expect(calm.compared.facility).toBeGreaterThan(4)

    const rough = new HandCarried(protection, strategy, figures)
    await rough.begin()
    let turn = 0
    await rough.run(async (node) => {
      turn += 1
      if (turn % 3 !== 0) return
      await idle(node)
      await idle(node)
      node.runner.stop()
      const before = node.machine
      const { head, over } = node.runner
      await rough.open(node)
      expect(node.machine).not.toBe(before)
      expect(node.runner.head).toEqual(head)
      expect(node.runner.over).toBe(over)
      expect(toHex(node.machine.snapshot() ?? new Uint8Array(0))).toBe(
        toHex(before.snapshot() ?? new Uint8Array(0)),
      )
      if (node.machine instanceof LeaderMachine) {
        const { progress } = (before as LeaderMachine).state
        expect(node.machine.state.progress.log).toEqual(progress.log)
        expect(node.machine.state.progress.parameters).toEqual(progress.parameters)
        // what the server's rule remembers of the rounds before
        expect(node.machine.state.progress.server).toEqual(progress.server)
      }
    })
    expect(turn).toBeGreaterThan(30)
    expect(rough.outcome).toEqual(calm.outcome)
  }, 120_000)
})
