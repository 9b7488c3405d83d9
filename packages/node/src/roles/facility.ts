import { ConsiliumError } from "@consilium/base/errors"
import type { LocalPolicy } from "@consilium/federation/policy"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { z } from "zod"
import { type AdminCommands, adminCommand, startAdmin } from "../admin/server.js"
import { askToLeave } from "../identity/enrol-client.js"
import { prepare, type RawRecords } from "../local-records.js"
import { PrivacyLedger } from "../privacy-ledger.js"
import { ChildTraffic } from "./child-traffic.js"
import { decision, FacilityMachine } from "./facility-machine.js"
import { contextOf, parentOf, type RoleOptions } from "./role-options.js"
import { RoundSecrets } from "./round-secrets.js"
import { whenStopped } from "./stopping.js"
import { type Hosted, StudyHost } from "./study-host.js"

export interface FacilityOptions extends RoleOptions {
  readonly records: RawRecords
  readonly policy: LocalPolicy
}

/** Runs a facility until all its studies are over. */
export const runFacility = async (options: FacilityOptions): Promise<void> => {
  const { membership, stores, records, policy, narrate, stop, probe } = options
  const stopped = new Promise<void>((resolve) => whenStopped(stop, resolve))
  const traffic = new ChildTraffic<FacilityMachine>(membership, parentOf(membership), stop, (up, detail) =>
    narrate(up ? "the fog answers again" : `the fog does not answer: ${detail}`),
  )
  const ledger = new PrivacyLedger(policy.privacy.month)
  const host = new StudyHost<FacilityMachine>({
    membership,
    stores,
    narrate,
    probe,
    machine: (member, snapshot) => {
      checkFeatures(member.study.model.features, records.train.names)
      const secrets = new RoundSecrets(membership.sealed, member.study, member.me.name)
      const context = { ...contextOf(membership, member), policy }
      const prepared = prepare(records, member.study)
      return new FacilityMachine(context, prepared, secrets, ledger, member.signedRoster, snapshot)
    },
    adopted: async (hosted) => {
      await hosted.machine.forgetUnneeded()
      await ledger.read(hosted.runner.id, hosted.runner.store)
      traffic.carry(hosted)
    },
  })
  await host.resume()
  await host.adopt(membership.signedRoster)
  ledger.opened()
  for (const { machine } of host.studies) await machine.reserveUnsent()
  const admin = await startAdmin(membership.folder, facilityCommands(host, ledger, options))
  try {
    await traffic.run(host, stopped)
  } finally {
    host.stop()
    traffic.close()
    await admin.close()
  }
}

const checkFeatures = (wanted: readonly string[], present: readonly string[]): void => {
  if (wanted.length !== present.length || wanted.some((name, i) => name !== present[i]))
    throw new ConsiliumError(
      "config/invalid",
      `The study trains on ${wanted.join(", ")}; this facility's records give ${present.join(", ")}.`,
    )
}

/** A study of this facility, by its name or the beginning of its id. */
const studyNamed = (host: StudyHost<FacilityMachine>, name: string): Hosted<FacilityMachine> => {
  const found = host.studies.filter(({ study, runner }) => study.name === name || runner.id.startsWith(name))
  if (found.length !== 1)
    throw new ConsiliumError(
      "admin/no-such-study",
      `${found.length === 0 ? "No study" : "More than one study"} of this facility is called ${JSON.stringify(name)}; there are ${host.studies.map(({ study, runner }) => `${study.name} (${runner.id.slice(0, 16)})`).join(", ")}.`,
    )
  return found[0] as Hosted<FacilityMachine>
}

/** What a running facility can be asked for, by a person who may use its data folder. */
const facilityCommands = (
  host: StudyHost<FacilityMachine>,
  ledger: PrivacyLedger,
  { membership, policy, narrate }: FacilityOptions,
): AdminCommands => {
  const choice = z.strictObject({ study: z.string().min(1).max(64), by: z.string().min(1).max(64) })
  const decide = (approved: boolean) =>
    adminCommand(choice, async ({ study, by }) => {
      const { runner } = studyNamed(host, study)
      await runner.post(decision(approved, by))
      return { study: runner.id, approved }
    })
  return {
    status: adminCommand(z.strictObject({}), () => ({
      name: membership.me.name,
      privacy: { ...ledger.month(Date.now()), studyCap: policy.privacy.study },
      studies: host.studies.map(({ study, runner, machine }) => ({
        id: runner.id,
        name: study.name,
        over: runner.over,
        phase: machine.state.phase,
        round: machine.state.memory.last.round,
        attempt: machine.state.memory.last.attempt,
        approval: policy.approval === "auto" ? "not-needed" : machine.state.memory.approval,
        waitsForApproval: machine.state.phase === "training" && machine.state.asking !== null,
        roster: machine.directory.roster.version,
        log: { events: runner.head.seq },
        privacy: isPrivate(study)
          ? {
              rounds: machine.state.memory.charges,
              epsilon:
                machine.state.memory.charges === 0 ? 0 : epsilonAfter(study, machine.state.memory.charges),
              delta: study.privacy.delta,
            }
          : null,
      })),
    })),
    approve: decide(true),
    deny: decide(false),
    leave: adminCommand(z.strictObject({}), async () => {
      const { kit, identity, keys } = membership
      const { at } = await askToLeave(kit, identity, keys, { now: Date.now, patienceMs: 20_000 })
      narrate("this facility has asked to leave; it goes with the next round")
      return { askedAt: new Date(at).toISOString() }
    }),
  }
}
