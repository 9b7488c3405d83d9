import { ConsiliumError } from "@consilium/base/errors"
import { type LedgerEntry, ledgerHeadAfter } from "@consilium/federation/ledger-chain"
import type { LocalPolicy } from "@consilium/federation/policy"
import { z } from "zod"
import { type AdminCommands, adminCommand } from "../admin/server.js"
import { ledgerPage } from "../ledger-entries.js"
import type { LedgerStudy } from "../ledger-outlook.js"
import { ledgerReading } from "../ledger-reading.js"
import type { PrivacyLedger } from "../privacy-ledger.js"
import { type FacilityMachine, newBeginning } from "./facility-machine.js"
import type { Hosted, StudyHost } from "./study-host.js"

const beginningSchema = z.strictObject({
  by: z.string().trim().min(1).max(64),
  reason: z.string().trim().min(1).max(1024),
})

/** The studies of a running facility, as its ledger is read with them. */
export const ledgerStudies = ({
  studies,
}: Pick<StudyHost<FacilityMachine>, "studies">): readonly LedgerStudy[] =>
  studies.map(({ study, runner, machine }) => ({
    study,
    state: runner.over ? "over" : "running",
    round: machine.state.memory.last.round,
  }))

/** What a running facility can be asked about its privacy ledger, and the way out when it is not whole. */
export const ledgerCommands = (
  name: string,
  host: Pick<StudyHost<FacilityMachine>, "studies">,
  ledger: PrivacyLedger,
  policy: LocalPolicy,
): AdminCommands => {
  const read = () => ledgerReading(name, ledger, ledgerStudies(host), policy)
  /** The study whose log holds the new beginning: one that goes on, if there is one. */
  const recorder = (): Hosted<FacilityMachine> => {
    const found = host.studies.filter(({ runner }) => !runner.over).at(-1) ?? host.studies.at(-1)
    if (found === undefined) throw new ConsiliumError("admin/no-such-study", `${name} has no study yet.`)
    return found
  }
  return {
    ledger: adminCommand(z.strictObject({}), read),
    "ledger-entries": adminCommand(z.strictObject({ from: z.int().min(0) }), ({ from }) =>
      ledgerPage(ledger, ledgerStudies(host), from),
    ),
    "ledger-reset": adminCommand(beginningSchema, async ({ by, reason }) => {
      const { runner } = recorder()
      const place = await ledger.placeOfBeginning(runner.id)
      const entry: LedgerEntry = { place, what: { type: "reset", by, reason } }
      try {
        await runner.post(newBeginning(entry))
      } finally {
        ledger.settled(runner.id)
      }
      return { ...read(), beganAt: ledgerHeadAfter(entry).seq }
    }),
  }
}
