import type { Participant } from "@consilium/federation/roster"
import { lastWords } from "./stopping.js"
import type { StudyRunner } from "./study-runner.js"

/** Waits until every child has what is there for it, or for as long as a role that ends may. */
export const drainChildren = async (
  runner: StudyRunner,
  me: Participant,
  stop: AbortSignal,
): Promise<void> => {
  const children = runner.directory.childrenOf(me.id)
  await Promise.all(children.map((child) => runner.mailbox(child).drained(lastWords(stop))))
}
