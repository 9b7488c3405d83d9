import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError } from "@consilium/base/errors"
import { modelFile } from "@consilium/federation/model"
import { studyDigest } from "@consilium/federation/study"
import type { LeaderService } from "../api/leader-service.js"
import { drainChildren } from "./drain-children.js"
import { HostedLeader } from "./hosted-leader.js"
import type { AuthorityDesk } from "./leader-authority.js"
import { leaderCommands } from "./leader-commands.js"
import { LeaderLedgers } from "./leader-ledgers.js"
import { LeaderMachine, leaderRoster, leaderStart } from "./leader-machine.js"
import { type Outcome, outcomeOf, privacyIn } from "./outcome.js"
import { type Closable, contextOf, type RoleOptions } from "./role-options.js"
import { whenStopped } from "./stopping.js"
import { type Hosted, StudyHost } from "./study-host.js"

export interface LeaderOptions extends RoleOptions {
  readonly authority: AuthorityDesk
  /** Opens what the leader offers to people and programs, once its studies are there. */
  readonly open: (service: LeaderService) => Promise<Closable>
  /** Whether it goes on when all its studies are over, until it is told to end: its models can then still be asked. */
  readonly stay?: boolean
  /** Keeps how a study ended, and its last model. */
  readonly keep: (study: Uint8Array, outcome: Outcome, model: Uint8Array) => Promise<void>
}

const ASK_AGAIN = 2_000

/** Runs the leader until all its studies are over, or longer if it stays. Gives the outcome of each, in the order they began. */
export const runLeader = async (options: LeaderOptions): Promise<readonly Outcome[]> => {
  const { membership, stores, edges, authority, narrate, stop, probe } = options
  const { me, authorityKey, checks } = membership
  const stopped = new Promise<void>((resolve) => whenStopped(stop, resolve))
  /** Ends what only waits, so that a leader whose studies are over ends at once. */
  const ending = new AbortController()
  const waits = AbortSignal.any([stop, ending.signal])
  const handles: HostedLeader[] = []
  const over: Promise<unknown>[] = []
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)

  /** Looks out for newer rosters of a study while it runs. */
  const followRosters = async ({ runner, machine }: Hosted<LeaderMachine>): Promise<void> => {
    const study = studyDigest(machine.study)
    let after = machine.directory.roster.version
    while (!runner.over && !waits.aborted)
      try {
        const signed = await authority.nextRoster(study, after, waits)
        if (signed === null) continue
        after = checks.roster(authorityKey, signed).directory.roster.version
        if (!runner.over) await runner.post(leaderRoster(signed))
      } catch {
        await sleep(ASK_AGAIN, undefined, { signal: waits, ref: false }).catch(() => undefined)
      }
  }

  const ledgers = new LeaderLedgers(() =>
    host.studies.map(({ study, runner, machine }) => ({
      id: runner.id,
      study,
      firstRoster: machine.firstRoster,
      length: runner.store.length,
      entries: (after) => runner.store.entries(after),
    })),
  )
  const host: StudyHost<LeaderMachine> = new StudyHost<LeaderMachine>({
    membership,
    stores,
    narrate,
    probe,
    machine: (member) => new LeaderMachine(contextOf(membership, member), member.signedRoster, ledgers),
    adopted: async (hosted) => {
      const first = checks.roster(authorityKey, hosted.machine.firstRoster).directory
      handles.push(new HostedLeader(hosted, first))
      if (hosted.runner.isNew) await hosted.runner.post(leaderStart())
      followRosters(hosted).catch(fail)
      const done = hosted.runner.ended.then(async () => {
        await drainChildren(hosted.runner, me, stop)
        await keepOutcome(hosted, options)
        await authority.close(studyDigest(hosted.study), stop)
      })
      done.catch(fail)
      over.push(done)
    },
  })
  let ready = false
  const service: LeaderService = {
    name: me.name,
    studies: () => handles,
    ready: () => ready,
    async startStudy(study) {
      if (handles.every((handle) => handle.over))
        throw new ConsiliumError("network/stopping", "The last study of this leader is over; it is ending.")
      const hosted = await host.adopt(await authority.propose(study, stop))
      return handles.find(({ id }) => id === hosted.runner.id) as HostedLeader
    },
  }
  const server = await edges.serve(() => host.studies.map(({ runner }) => runner))
  let outside: Closable | null = null
  let admin: Closable | null = null
  try {
    await host.resume()
    await host.adopt(membership.signedRoster)
    outside = await options.open(service)
    admin = await options.admin(leaderCommands(host, service))
    ready = true
    for (let settled = 0; settled < over.length && !stop.aborted; ) {
      settled = over.length
      await Promise.race([Promise.all(over), stopped, failed])
    }
    if (options.stay === true && !stop.aborted) {
      narrate("all studies are over; their models can be asked until this process is told to end")
      await Promise.race([stopped, failed])
    }
    if (stop.aborted) await Promise.all(host.studies.map(({ runner }) => drainChildren(runner, me, stop)))
    return await Promise.all(host.studies.map((hosted) => keepOutcome(hosted, options)))
  } finally {
    ready = false
    ending.abort()
    host.stop()
    await admin?.close()
    await outside?.close()
    await server.close()
  }
}

/** A study's outcome, kept beside its last model. */
const keepOutcome = async (
  { study, machine, runner }: Hosted<LeaderMachine>,
  { keep }: Pick<LeaderOptions, "keep">,
): Promise<Outcome> => {
  const { state, rosters } = machine
  const privacy = await privacyIn(study, rosters, runner.store.entries())
  const outcome = outcomeOf(study, rosters, state, privacy)
  const { parameters } = state.progress
  await keep(studyDigest(study), outcome, modelFile(study, parameters, outcome.rounds.length))
  return outcome
}
