import { dirname, resolve } from "node:path"
import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { studyDigest } from "@consilium/federation/study"
import type { StoredStudy } from "../audit-sources.js"
import { leaderFileSchema, storageKeyOf } from "../config/role-files.js"
import { readConfig } from "../config/yaml-file.js"
import { loadOrCreateKeys } from "../identity/keys.js"
import { nodeSuite } from "../identity/suite.js"
import { LeaderMachine, leaderRelease, NO_LEDGERS } from "../roles/leader-machine.js"
import { openSealed } from "../roles/membership.js"
import { StudyRunner } from "../roles/study-runner.js"
import { openJournalBox } from "../store/journal-box.js"
import type { Decision, Released } from "./model-schemas.js"

/**
 * Releases a model in the locked folder of a leader that does not run: the study is brought to where it was, takes the
 * decision as its next event, and is left there. Nothing is sent and no timer starts.
 * @throws {ConsiliumError} "model/not-found"; "store/replay-differs" and what opening the folder can throw
 */
export const releaseInFolder = async (
  configPath: string,
  { study, directory, roster, authorityKey, store }: StoredStudy,
  decision: Decision,
): Promise<Released> => {
  const config = await readConfig(leaderFileSchema, configPath)
  const folder = resolve(dirname(resolve(configPath)), config.data_folder)
  const sealed = await openSealed(folder, storageKeyOf(config.storage_key, configPath))
  const keys = await loadOrCreateKeys(sealed)
  const me = directory.leader
  if (!equalBytes(me.signingKey, keys.signingKey))
    throw new ConsiliumError(
      "identity/bad-roster",
      `The roster names other keys for ${me.name} than its own.`,
    )
  const digest = studyDigest(study)
  const machine = new LeaderMachine(
    { study, directory, me, keys, suite: nodeSuite, authorityKey },
    roster,
    NO_LEDGERS,
  )
  const runner = await StudyRunner.open({
    study: digest,
    me,
    keys,
    store,
    box: await openJournalBox(sealed, digest),
    machine: () => machine,
    now: Date.now,
    narrate: () => undefined,
  })
  try {
    const released = releasable(machine, decision.round)
    await runner.post(leaderRelease(decision))
    return released
  } finally {
    runner.stop()
  }
}

/** @throws {ConsiliumError} "model/not-found" if a round is not closed */
export const releasable = ({ study, state }: LeaderMachine, round: number): Released => {
  const { closed } = state.progress
  const found = closed.find((one) => one.round === round)
  if (found === undefined)
    throw new ConsiliumError(
      "model/not-found",
      `Round ${round} of the study ${study.name} has no model: ${closed.length} of ${study.rounds} rounds are closed.`,
    )
  return { round, hash: toHex(found.model) }
}
