import { type RoleStatus, statusOf } from "@consilium/node/doctor/role-status"
import { wordsOf } from "./approvals.js"
import { columns, type Format, print } from "./printed.js"

const table = (status: RoleStatus): readonly string[] => {
  switch (status.role) {
    case "leader":
      return columns(
        ["study", "id", "rounds closed", "phase", "facilities", "events"],
        status.studies.map(({ name, id, rounds, phase, over, facilities, log }) => [
          name,
          id.slice(0, 16),
          `${rounds.closed} of ${rounds.planned}`,
          over ? `over (${phase})` : phase,
          String(facilities.length),
          String(log.events),
        ]),
      )
    case "fog":
      return columns(
        ["study", "id", "state", "facilities", "events"],
        status.studies.map(({ name, id, over, facilities, log }) => [
          name,
          id.slice(0, 16),
          over ? "over" : "running",
          facilities.join(", "),
          String(log.events),
        ]),
      )
    case "facility":
      return [
        ...(status.privacy.problem === null ? [] : [`PRIVACY: ${status.privacy.problem.reason}`]),
        ...columns(
          ["study", "id", "round", "phase", "approval", "events"],
          status.studies.map(({ name, id, round, phase, over, approval, waitsForApproval, log }) => [
            name,
            id.slice(0, 16),
            String(round),
            over ? "over" : phase,
            waitsForApproval ? "WAITS FOR A PERSON" : wordsOf(approval),
            String(log.events),
          ]),
        ),
      ]
    case "authority":
      return [
        `${status.participants.filter(({ state }) => state === "enrolled").length} of ${status.participants.length} participants are enrolled.`,
        ...columns(
          ["study", "id", "roster", "facilities", "state"],
          status.studies.map(({ name, study, version, facilities, closedAt }) => [
            name,
            study.slice(0, 16),
            String(version),
            String(facilities.length),
            closedAt === null ? "open" : "closed",
          ]),
        ),
      ]
  }
}

export const status = async (options: {
  readonly config: string
  readonly format: Format
}): Promise<void> => {
  const found = await statusOf(options.config)
  print(options.format, found, [`The ${found.role} ${found.name} runs.`, ...table(found)])
}
