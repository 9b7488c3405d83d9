import { ConsiliumError } from "@consilium/base/errors"
import { z } from "zod"
import { type AdminCommands, adminCommand } from "../admin/server.js"
import { rotationRequestSchema, wishOf } from "../api/key-schemas.js"
import type { LeaderService } from "../api/leader-service.js"
import { stopDecisionSchema } from "../api/stop-schemas.js"
import { studyKeysOf } from "../keys/key-status.js"
import { modelCardOf } from "../models/model-card.js"
import { modelFileOf, modelListOf, pieceOf, readHistory, type StudyLog } from "../models/model-log.js"
import { decisionSchema } from "../models/model-schemas.js"
import { releasable } from "../models/stopped-leader.js"
import { type LeaderMachine, leaderRelease, type RosterPeriod } from "./leader-machine.js"
import { rotateKeys } from "./rotate-keys.js"
import { stopStudy } from "./stop-study.js"
import type { Hosted, StudyHost } from "./study-host.js"

type Own = Hosted<LeaderMachine>

/** What the leader knows those by who ask over its admin socket. */
const SOCKET = "the leader's admin socket"

/** Bytes of a model's file in one answer: in base64 they stay well below the longest line. */
const PIECE_BYTES = 4 << 20

const study = z.string().min(1).max(64).optional()
const round = z.int().min(1)

/** A study by its name or the beginning of its id; the only one, if none is named. */
const studyNamed = (host: StudyHost<LeaderMachine>, name: string | undefined): Own => {
  const found = host.studies.filter(
    (one) => name === undefined || one.study.name === name || one.runner.id.startsWith(name),
  )
  if (found.length === 1) return found[0] as Own
  const all = host.studies.map((one) => `${one.study.name} (${one.runner.id.slice(0, 16)})`).join(", ")
  throw new ConsiliumError(
    "admin/no-such-study",
    name === undefined
      ? `This leader has ${found.length} studies: ${all}.`
      : `${found.length === 0 ? "No study" : "More than one study"} of this leader is called ${JSON.stringify(name)}; there are ${all}.`,
  )
}

const logOf = ({ study, runner, machine }: Own): StudyLog => ({
  study,
  first: (machine.rosters[0] as RosterPeriod).directory,
  authorityKey: machine.authorityKey,
  entries: () => runner.store.entries(),
})

/** What a running leader can be asked for, by a person who may use its data folder. */
export const leaderCommands = (host: StudyHost<LeaderMachine>, service: LeaderService): AdminCommands => ({
  status: adminCommand(z.strictObject({}), () => ({
    name: service.name,
    studies: host.studies.map(({ study, runner, machine }) => ({
      id: runner.id,
      name: study.name,
      phase: machine.state.phase,
      over: runner.over,
      rounds: { closed: machine.state.progress.closed.length, planned: study.rounds },
      roster: machine.directory.roster.version,
      /** Whether a newer roster waits for the next round. */
      rosterWaits: machine.state.progress.nextRoster !== null,
      facilities: machine.directory.facilities.map(({ name }) => name).sort(),
      log: { events: runner.head.seq },
    })),
  })),
  models: adminCommand(z.strictObject({ study }), async ({ study }) =>
    modelListOf(await readHistory(logOf(studyNamed(host, study)))),
  ),
  "model-card": adminCommand(
    z.strictObject({ study, round: round.optional(), hash: z.string().min(1).max(64).optional() }),
    async ({ study, ...pick }) => {
      const log = logOf(studyNamed(host, study))
      return modelCardOf(await readHistory(log), log, pick)
    },
  ),
  "model-piece": adminCommand(
    z.strictObject({ study, round, offset: z.int().min(0) }),
    async ({ study, round, offset }) =>
      pieceOf(await modelFileOf(logOf(studyNamed(host, study)), round), offset, PIECE_BYTES),
  ),
  "release-model": adminCommand(decisionSchema.extend({ study }), async ({ study, ...decision }) => {
    const { runner, machine } = studyNamed(host, study)
    const released = releasable(machine, decision.round)
    await runner.post(leaderRelease(decision))
    return released
  }),
  keys: adminCommand(z.strictObject({ study }), async ({ study }) => {
    const wanted = study === undefined ? host.studies : [studyNamed(host, study)]
    const studies = []
    for (const one of wanted) studies.push(studyKeysOf((await readHistory(logOf(one))).view))
    return { studies }
  }),
  "rotate-keys": adminCommand(rotationRequestSchema.extend({ study }), ({ study, ...wish }) =>
    rotateKeys(studyNamed(host, study), wishOf(wish, SOCKET)),
  ),
  "stop-study": adminCommand(stopDecisionSchema.extend({ study }), ({ study, ...decision }) =>
    stopStudy(studyNamed(host, study), decision, SOCKET),
  ),
})
