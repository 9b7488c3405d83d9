import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { systemRandom } from "@consilium/base/random"
import { modelFile } from "@consilium/federation/model"
import { openRoster } from "@consilium/federation/roster"
import { encodeStudy, studyDigest } from "@consilium/federation/study"
import { type AdminSocket, startAdmin } from "../admin/server.js"
import { startHealth } from "../api/health.js"
import type { LeaderService } from "../api/leader-service.js"
import { type ApiFile, tokenRules } from "../api/ports.js"
import { type RunningApi, startApi } from "../api/start-api.js"
import { closeStudy, fetchRoster, proposeStudy } from "../identity/enrol-client.js"
import { nodeSuite } from "../identity/suite.js"
import { writeFileAtomic } from "../store/files.js"
import { ParentServer } from "../transport/parent-server.js"
import { drainChildren } from "./drain-children.js"
import { HostedLeader } from "./hosted-leader.js"
import { leaderCommands } from "./leader-commands.js"
import { LeaderMachine, leaderRoster, leaderStart } from "./leader-machine.js"
import { MODEL_FILE, OUTCOME_FILE, type Outcome, outcomeOf, privacyIn } from "./outcome.js"
import { presetStudy } from "./presets.js"
import { addressOf, contextOf, type RoleOptions } from "./role-options.js"
import { whenStopped } from "./stopping.js"
import { type Hosted, StudyHost } from "./study-host.js"

export interface LeaderOptions extends RoleOptions {
  readonly api: ApiFile
  /** Key and certificates of the API's listener, PEM; null where only this machine reaches it. */
  readonly tls: { readonly key: string; readonly cert: string } | null
  /** Folder of the built page; null serves none. */
  readonly page: string | null
}

const ASK_AGAIN = 2_000
const GOODBYE = 2_000

/** Runs the leader until all its studies are over. Gives the outcome of each, in the order they began. */
export const runLeader = async (options: LeaderOptions): Promise<readonly Outcome[]> => {
  const { membership, stores, narrate, stop, probe } = options
  const { kit, identity, me } = membership
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
        const signed = await fetchRoster(kit, identity, {
          study,
          after,
          now: Date.now,
          patienceMs: 25_000,
          stop: waits,
        })
        if (signed === null) continue
        after = openRoster(nodeSuite, kit.authorityKey, signed).directory.roster.version
        if (!runner.over) await runner.post(leaderRoster(signed))
      } catch {
        await sleep(ASK_AGAIN, undefined, { signal: waits, ref: false }).catch(() => undefined)
      }
  }

  const host = new StudyHost<LeaderMachine>({
    membership,
    stores,
    narrate,
    probe,
    machine: (member) => new LeaderMachine(contextOf(membership, member), member.signedRoster),
    adopted: async (hosted) => {
      const first = openRoster(nodeSuite, kit.authorityKey, hosted.machine.firstRoster).directory
      handles.push(new HostedLeader(hosted, first))
      if (hosted.runner.isNew) await hosted.runner.post(leaderStart())
      followRosters(hosted).catch(fail)
      const done = hosted.runner.ended.then(async () => {
        await drainChildren(hosted.runner, me, stop)
        await saveOutcome(hosted)
        await closeStudy(kit, identity, studyDigest(hosted.study), {
          now: Date.now,
          patienceMs: GOODBYE,
          stop,
        }).catch(() => undefined)
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
      const signed = await proposeStudy(kit, identity, encodeStudy(study), {
        now: Date.now,
        patienceMs: 20_000,
        stop,
      })
      const hosted = await host.adopt(signed)
      return handles.find(({ id }) => id === hosted.runner.id) as HostedLeader
    },
  }
  const server = await ParentServer.start({
    me,
    identity,
    address: addressOf(membership),
    uploads: join(membership.folder, "uploads"),
    studies: () => host.studies.map(({ runner }) => runner),
  })
  let api: RunningApi | null = null
  let health: { close(): Promise<void> } | null = null
  let admin: AdminSocket | null = null
  try {
    await host.resume()
    await host.adopt(membership.signedRoster)
    const troubled = (error: unknown): void => narrate(`the API failed at something: ${String(error)}`)
    api = await startApi({
      service,
      presets: (kind) =>
        presetStudy(
          kind,
          host.studies.map(({ study }) => study),
          systemRandom,
        ),
      tokens: tokenRules(options.api),
      page: options.page,
      listen: { ...options.api.listen, tls: options.tls },
      troubled,
    })
    narrate(`the page and the API are at ${api.url}`)
    if (options.api.health !== null)
      health = await startHealth({
        service,
        metrics: api.metrics,
        listen: { ...options.api.health, tls: null },
      })
    admin = await startAdmin(membership.folder, leaderCommands(host, service))
    ready = true
    for (let settled = 0; settled < over.length && !stop.aborted; ) {
      settled = over.length
      await Promise.race([Promise.all(over), stopped, failed])
    }
    if (stop.aborted) await Promise.all(host.studies.map(({ runner }) => drainChildren(runner, me, stop)))
    return await Promise.all(host.studies.map(saveOutcome))
  } finally {
    ready = false
    ending.abort()
    host.stop()
    await admin?.close()
    await health?.close()
    await api?.close()
    await server.close()
  }
}

/** Writes a study's outcome and its last model into the study's folder. */
const saveOutcome = async ({ study, folder, machine, runner }: Hosted<LeaderMachine>): Promise<Outcome> => {
  const { state, rosters } = machine
  const privacy = await privacyIn(study, rosters, runner.store.entries())
  const outcome = outcomeOf(study, rosters, state, privacy)
  const { parameters } = state.progress
  await writeFileAtomic(join(folder, MODEL_FILE), modelFile(study, parameters, outcome.rounds.length))
  await writeFileAtomic(join(folder, OUTCOME_FILE), utf8(`${JSON.stringify(outcome, null, 2)}\n`))
  return outcome
}
