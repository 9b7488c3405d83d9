import { newlySeen } from "@consilium/federation/ledger-witness"
import { isPrivate } from "@consilium/federation/privacy-plan"
import type { Study } from "@consilium/federation/study"
import type { PrivacyLedger } from "../privacy-ledger.js"
import { askLedger, type FacilityMachine, seenElsewhere } from "./facility-machine.js"
import type { StudyRunner } from "./study-runner.js"

/** A study of a facility, running or over. */
interface JoinedStudy {
  readonly study: Study
  readonly runner: StudyRunner
  readonly machine: FacilityMachine
}

/** Tells a study what another has seen of the ledgers of its members. */
const tell = async (
  to: JoinedStudy,
  seen: JoinedStudy["machine"]["state"]["memory"]["witness"],
): Promise<void> => {
  if (seen.size > 0 && !to.runner.over) await to.runner.post(seenElsewhere(seen))
}

/**
 * A private study that begins, or goes on in a new process: it asks the leader about this facility's ledger, and it shares
 * with this facility's other studies what each sees of the ledgers of its members.
 */
export const joinLedgers = async (
  ledger: PrivacyLedger,
  joining: JoinedStudy,
  all: () => readonly JoinedStudy[],
): Promise<void> => {
  const { study, runner, machine } = joining
  if (!isPrivate(study)) return
  const others = (): readonly JoinedStudy[] =>
    all().filter((other) => other.runner !== runner && isPrivate(other.study))
  if (!runner.over) await runner.post(askLedger(ledger.question(runner.id)))
  for (const other of others()) {
    await tell(joining, other.machine.state.memory.witness)
    await tell(other, machine.state.memory.witness)
  }
  let told = machine.state.memory.witness
  runner.onStep(() => {
    const { witness } = machine.state.memory
    const news = newlySeen(told, witness)
    told = witness
    // a study that stops meanwhile hears of it when it is taken up again
    for (const other of others()) tell(other, news).catch(() => undefined)
  })
}
