import { type FacilityStatus, type RoleStatus, statusOf } from "@consilium/node/doctor/role-status"
import { wordsOf } from "./approvals.js"
import { columns, type Format, print } from "./printed.js"

const shown = (epsilon: number | null): string => (epsilon === null ? "without bound" : epsilon.toFixed(2))

const spentLine = ({ month, epsilon, cap, lifetime }: FacilityStatus["privacy"]): string => {
  const ofCap =
    lifetime.cap === null
      ? ""
      : `; ${shown(lifetime.cap.spent)} of a cap of ${shown(lifetime.cap.epsilon)} is used`
  return `Privacy spent: epsilon ${shown(epsilon)} of ${shown(cap.epsilon)} in ${month}, ${shown(lifetime.epsilon)} (delta ${lifetime.delta}) over all months${ofCap}.`
}

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
        ...status.privacy.warnings.map(({ says }) => `PRIVACY: ${says}`),
        ...(status.privacy.lifetime.updates === 0 ? [] : [spentLine(status.privacy)]),
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
