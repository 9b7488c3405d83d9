import { isAbsolute } from "node:path"
import { isoTime, timestamp } from "@consilium/base/units"
import { z } from "zod"
import { certificateWarnings } from "../identity/expiry.js"
import { type Host, type Invited, makeInvitation } from "../identity/invitation.js"
import type { Registry } from "../identity/registry.js"
import { type AdminCommands, adminCommand } from "./server.js"

export const INVITE = "invite"

export const inviteSchema = z.strictObject({
  name: z.string().min(1).max(63),
  role: z.enum(["facility", "fog"]),
  parent: z.string().min(1).max(63),
  folder: z.string().max(4096).refine(isAbsolute, "an absolute path was expected"),
  local: z.string().max(32_768).optional(),
  url: z.string().max(512).optional(),
  days: z.int().min(1).max(365).default(30),
})
export type InviteArguments = z.input<typeof inviteSchema>

/** What `invite` answers. */
export const invitedSchema: z.ZodType<Invited> = z.object({
  folder: z.string(),
  config: z.string(),
  expires: z.string(),
})

const time = (at: number): string => isoTime(timestamp(at))

/** Everybody whom the authority knows, by name. */
export const participantsOf = (registry: Registry, now: number): readonly object[] => {
  const members = new Map(registry.members().map((member) => [member.name, member]))
  const invited = registry
    .tickets()
    .filter(({ name }) => !members.has(name))
    .map(({ name, role, parent, expires }) => ({
      name,
      role,
      parent,
      state: expires < now ? "invitation-expired" : "invited",
      invitedUntil: time(expires),
    }))
  const enrolled = [...members.values()].map(({ name, role, parent, address, certificate, left }) => ({
    name,
    role,
    parent,
    state: left === null ? "enrolled" : "left",
    address,
    ...(left === null ? {} : { leftAt: time(left.at) }),
    warnings: left === null ? certificateWarnings(certificate, now).map(({ message }) => message) : [],
  }))
  return [...invited, ...enrolled].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The studies and their newest rosters, in the order they began. */
export const rostersOf = (registry: Registry): readonly object[] =>
  registry.studies().map(({ id, study, version, begunAt, closedAt, directory }) => ({
    study: id,
    name: study.name,
    version,
    begunAt: time(begunAt),
    issuedAt: time(directory.roster.issuedAt),
    closedAt: closedAt === null ? null : time(closedAt),
    fogs: directory.fogs.map(({ name }) => name),
    facilities: directory.facilities.map(({ name }) => name),
  }))

const nothing = z.strictObject({})

/** What a running authority can be asked for. */
export const authorityCommands = (host: Host): AdminCommands => ({
  [INVITE]: adminCommand(inviteSchema, (args) => makeInvitation(host, { ...args, days: args.days })),
  participants: adminCommand(nothing, () => participantsOf(host.registry, host.now())),
  rosters: adminCommand(nothing, () => rostersOf(host.registry)),
})
