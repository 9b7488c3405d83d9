import { ConsiliumError } from "@consilium/base/errors"
import type { LocalPolicy } from "@consilium/federation/policy"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { z } from "zod"
import { type AdminCommands, adminCommand } from "../admin/server.js"
import { facilityKeysOf } from "../keys/held-keys.js"
import { newWarnings, underWay } from "../ledger-outlook.js"
import { ledgerStatus } from "../ledger-reading.js"
import { prepare, type RawRecords } from "../local-records.js"
import { PrivacyLedger } from "../privacy-ledger.js"
import { ChildTraffic } from "./child-traffic.js"
import { decision, FacilityMachine } from "./facility-machine.js"
import { ledgerCommands, ledgerStudies } from "./ledger-commands.js"
import { joinLedgers } from "./ledger-joining.js"
import { contextOf, parentOf, type RoleOptions } from "./role-options.js"
import { RoundSecrets } from "./round-secrets.js"
import { whenStopped } from "./stopping.js"
import { type Hosted, StudyHost } from "./study-host.js"

export interface FacilityOptions extends RoleOptions {
  readonly records: RawRecords
  readonly policy: LocalPolicy
  /** Asks the authority that this facility leave; gives the time that it granted. */
  readonly leave: () => Promise<{ readonly at: number }>
}

/** Runs a facility until all its studies are over. */
export const runFacility = async (options: FacilityOptions): Promise<void> => {
  const { membership, stores, edges, records, policy, narrate, stop, probe } = options
  const stopped = new Promise<void>((resolve) => whenStopped(stop, resolve))
  const parent = parentOf(membership)
  const traffic = new ChildTraffic<FacilityMachine>(edges, parent, stop, (up, detail) =>
    narrate(up ? `the ${parent.role} answers again` : `the ${parent.role} does not answer: ${detail}`),
  )
  const { month, lifetime = null } = policy.privacy
  const ledger = new PrivacyLedger({ facility: membership.me.id, cap: month, lifetime })
  const host: StudyHost<FacilityMachine> = new StudyHost<FacilityMachine>({
    membership,
    stores,
    narrate,
    probe,
    machine: (member, snapshot) => {
      const secrets = new RoundSecrets(membership.sealed, member.study, member.me.name)
      const context = { ...contextOf(membership, member), policy }
      const prepared = prepare(records, member.study)
      return new FacilityMachine(context, prepared, secrets, ledger, member.signedRoster, snapshot)
    },
    adopted: async (hosted) => {
      await hosted.machine.forgetUnneeded()
      await ledger.read(hosted.runner.id, hosted.runner.store)
      await joinLedgers(ledger, hosted, () => host.studies)
      traffic.carry(hosted)
    },
  })
  await host.resume()
  await host.adopt(membership.signedRoster)
  ledger.opened()
  for (const { machine } of host.studies) await machine.reserveUnsent()
  for (const says of newWarnings(ledger, policy, underWay(ledgerStudies(host)))) narrate(`privacy: ${says}`)
  const admin = await options.admin(facilityCommands(host, ledger, options))
  try {
    await traffic.run(host, stopped)
  } finally {
    host.stop()
    traffic.close()
    await admin.close()
  }
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
  { membership, policy, narrate, leave }: FacilityOptions,
): AdminCommands => {
  const choice = z.strictObject({ study: z.string().min(1).max(64), by: z.string().min(1).max(64) })
  const decide = (approved: boolean) =>
    adminCommand(choice, async ({ study, by }) => {
      const { runner } = studyNamed(host, study)
      await runner.post(decision(approved, by))
      return { study: runner.id, approved }
    })
  return {
    ...ledgerCommands(membership.me.name, host, ledger, policy),
    status: adminCommand(z.strictObject({}), () => ({
      name: membership.me.name,
      privacy: { ...ledgerStatus(ledger, policy, ledgerStudies(host)), studyCap: policy.privacy.study },
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
    keys: adminCommand(z.strictObject({}), () => facilityKeysOf(membership.me, host.studies)),
    approve: decide(true),
    deny: decide(false),
    leave: adminCommand(z.strictObject({}), async () => {
      const { at } = await leave()
      narrate("this facility has asked to leave; it goes with the next round")
      return { askedAt: new Date(at).toISOString() }
    }),
  }
}
