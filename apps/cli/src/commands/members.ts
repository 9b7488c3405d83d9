import { isConsiliumError } from "@consilium/base/errors"
import { participantsOf, rostersOf } from "@consilium/node/admin/authority-commands"
import { inviteParticipant } from "@consilium/node/admin/invite"
import { leaveStudies } from "@consilium/node/doctor/leave"
import { type Enrolled, enrolledOf, statusOf } from "@consilium/node/doctor/role-status"
import { openAuthorityFolder } from "@consilium/node/roles/authority"
import { columns, type Format, print } from "./printed.js"

interface JoinArguments {
  readonly authority: string
  readonly parent: string
  readonly role: "facility" | "fog"
  readonly out: string
  readonly url?: string
  readonly days: number
  readonly format: Format
}

/** Makes a newcomer's kit and says what to do with it. */
export const join = async (name: string, options: JoinArguments): Promise<void> => {
  const { authority, parent, role, out, url, days } = options
  const invited = await inviteParticipant(authority, {
    name,
    role,
    parent,
    folder: out,
    days,
    ...(url === undefined ? {} : { url }),
  })
  const start = `consilium ${role} start --config ${invited.config}`
  print(options.format, { name, role, parent, ...invited, start }, [
    `The kit of the ${role} ${name} is in ${invited.folder}.`,
    "Hand over the whole folder in person or over a channel you both trust: it holds a one-time token.",
    `  kit/    as it is; good for enrolling until ${invited.expires}`,
    `  local/  ${role === "facility" ? "its records and its own policy, for the facility to edit" : "where the fog listens, to edit"}`,
    "There it is started with:",
    `  consilium ${role} start --config ${name}/local/${role}.yaml`,
    "It takes part from the round after its enrolment on.",
  ])
}

export const leave = async (options: { readonly config: string; readonly format: Format }): Promise<void> => {
  const asked = await leaveStudies(options.config)
  print(options.format, asked, [
    `The authority granted at ${asked.askedAt} that this facility leave; it is in no round after the one under way.`,
    "What it gave before stays in the models of earlier rounds. Its folder may be erased once the study is over.",
  ])
}

/** From the authority if it runs, else from its folder. */
const enrolled = async (config: string): Promise<Enrolled> => {
  try {
    const status = await statusOf(config)
    if (status.role === "authority") return status
  } catch (error) {
    if (!isConsiliumError(error, "admin/not-running")) throw error
  }
  const opened = await openAuthorityFolder(config, () => undefined)
  try {
    return enrolledOf(participantsOf(opened.registry, Date.now()), rostersOf(opened.registry))
  } finally {
    await opened.close()
  }
}

export const members = async (options: {
  readonly authority: string
  readonly format: Format
}): Promise<void> => {
  const { participants, studies } = await enrolled(options.authority)
  print(options.format, { participants, studies }, [
    ...columns(
      ["name", "role", "parent", "state"],
      participants.map(({ name, role, parent, state }) => [name, role, parent ?? "", state]),
    ),
    ...participants.flatMap(({ warnings }) => warnings),
    ...studies.map(
      ({ name, study, version, closedAt, facilities }) =>
        `study ${name} (${study.slice(0, 16)}): roster ${version}, ${facilities.length} facilities${closedAt === null ? "" : `, closed at ${closedAt}`}`,
    ),
  ])
}
