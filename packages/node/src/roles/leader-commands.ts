import { z } from "zod"
import { type AdminCommands, adminCommand } from "../admin/server.js"
import type { LeaderService } from "../api/leader-service.js"
import type { LeaderMachine } from "./leader-machine.js"
import type { StudyHost } from "./study-host.js"

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
      log: { events: runner.head.seq },
    })),
  })),
})
