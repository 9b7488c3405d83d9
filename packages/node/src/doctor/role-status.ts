import { z } from "zod"
import { callAdmin } from "../admin/client.js"
import { type Place, placeOf } from "./place.js"

const whole = z.int().min(0)
const study = z.looseObject({
  id: z.string(),
  name: z.string(),
  over: z.boolean(),
  roster: whole,
  log: z.object({ events: whole }),
})

const leader = z.object({
  name: z.string(),
  studies: z.array(
    study.extend({
      phase: z.string(),
      rounds: z.object({ closed: whole, planned: whole }),
      facilities: z.array(z.string()),
      /** Whether a newer list of participants waits for the next round. */
      rosterWaits: z.boolean(),
    }),
  ),
})
const fog = z.object({
  name: z.string(),
  studies: z.array(study.extend({ facilities: z.array(z.string()) })),
})
const facility = z.object({
  name: z.string(),
  /** What the month has spent; null without bound. */
  privacy: z.looseObject({
    month: z.string(),
    epsilon: z.number().nullable(),
    cap: z.object({ epsilon: z.number(), delta: z.number() }),
    problem: z.object({ code: z.string(), reason: z.string() }).nullable(),
    /** What a person should hear of budgets before they stop a study. */
    warnings: z.array(z.looseObject({ says: z.string() })),
    /** All months together: by an odometer, and what the policy's cap has spent, if there is one. */
    lifetime: z.looseObject({
      epsilon: z.number().nullable(),
      delta: z.number(),
      updates: whole,
      cap: z.object({ epsilon: z.number(), delta: z.number(), spent: z.number().nullable() }).nullable(),
    }),
  }),
  studies: z.array(
    study.extend({
      phase: z.string(),
      round: whole,
      attempt: whole,
      approval: z.enum(["not-needed", "none", "approved", "denied"]),
      waitsForApproval: z.boolean(),
    }),
  ),
})
const members = z.array(
  z.looseObject({
    name: z.string(),
    role: z.string(),
    parent: z.string().nullable(),
    state: z.string(),
    warnings: z.array(z.string()).default([]),
  }),
)
const rosters = z.array(
  z.looseObject({
    study: z.string(),
    name: z.string(),
    version: whole,
    closedAt: z.string().nullable(),
    fogs: z.array(z.string()),
    facilities: z.array(z.string()),
  }),
)

/** What a running role says of itself. */
export type RoleStatus =
  | ({ readonly role: "leader" } & z.output<typeof leader>)
  | ({ readonly role: "fog" } & z.output<typeof fog>)
  | ({ readonly role: "facility" } & z.output<typeof facility>)
  | {
      readonly role: "authority"
      readonly name: string
      readonly participants: z.output<typeof members>
      readonly studies: z.output<typeof rosters>
    }

export type FacilityStatus = Extract<RoleStatus, { role: "facility" }>

/** A running role's answer to one command. */
export const askRole = <T>(
  { dataFolder }: Place,
  command: string,
  args: object,
  result: z.ZodType<T>,
): Promise<T> => callAdmin(dataFolder, command, args, { result })

/**
 * The status of a running role, by its configuration file.
 * @throws {ConsiliumError} "admin/not-running"
 */
export const statusOf = async (configPath: string): Promise<RoleStatus> => {
  const place = await placeOf(configPath)
  switch (place.role) {
    case "leader":
      return { role: "leader", ...(await askRole(place, "status", {}, leader)) }
    case "fog":
      return { role: "fog", ...(await askRole(place, "status", {}, fog)) }
    case "facility":
      return { role: "facility", ...(await askRole(place, "status", {}, facility)) }
    case "authority": {
      const participants = await askRole(place, "participants", {}, members)
      return {
        role: "authority",
        name: place.name,
        participants,
        studies: await askRole(place, "rosters", {}, rosters),
      }
    }
  }
}

/** Everybody whom an authority knows, and the studies it has begun. */
export interface Enrolled {
  readonly participants: z.output<typeof members>
  readonly studies: z.output<typeof rosters>
}
export const enrolledOf = (participants: unknown, studies: unknown): Enrolled => ({
  participants: members.parse(participants),
  studies: rosters.parse(studies),
})
