import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Directory } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import type { z } from "zod"
import { type StudyFile, studyOf } from "../config/study-file.js"
import type { LeaderService } from "./leader-service.js"
import { jsonOf, yamlOf } from "./request-body.js"
import { studyRequestSchema } from "./schemas.js"

/** The checked value of something that came with a request. @throws {ConsiliumError} "api/malformed" with the places that are wrong */
export const checked = <S extends z.ZodType>(schema: S, what: string, value: unknown): z.output<S> => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "(top)"}: ${message}`)
  throw new ConsiliumError(
    "api/malformed",
    `${what} is not what the route takes: ${issues.slice(0, 8).join("; ").slice(0, 1000)}`,
  )
}

type Present = StudyFile["participants"]

const presentIn = (directory: Directory): Present =>
  directory.roster.participants.flatMap(({ name, role, parent }) =>
    role === "authority" ? [] : [{ name, role, parent: parent === null ? null : directory.get(parent).name }],
  )

const lines = (participants: Present): string =>
  participants
    .map(({ name, role, parent }) => JSON.stringify([name, role, parent]))
    .sort()
    .join("\n")

/** Who takes part now: the newest roster of the newest study. */
export const participantsOf = (service: LeaderService): Present => {
  const directory = service.studies().at(-1)?.rosters()[0]
  if (directory === undefined)
    throw new ConsiliumError("api/not-ready", "This leader has no study yet, so nobody is present.")
  return presentIn(directory)
}

const isYaml = (type: string | undefined): boolean => {
  const [plain = ""] = (type ?? "").split(";")
  const media = plain.trim().toLowerCase()
  if (media === "application/json") return false
  if (["application/yaml", "application/x-yaml", "text/yaml"].includes(media)) return true
  throw new ConsiliumError(
    "api/unsupported-type",
    media === ""
      ? "The request does not say what type its body is of."
      : "The body's type is neither JSON nor YAML.",
  )
}

/**
 * The study that a request describes, among the participants present.
 * @throws {ConsiliumError} "api/malformed", "api/unsupported-type", "api/other-participants", "config/invalid", "round/bad-study"
 */
export const studyRequested = (
  service: LeaderService,
  type: string | undefined,
  body: unknown,
  random: RandomSource,
): Study => {
  const value = isYaml(type) ? yamlOf(body) : jsonOf(body)
  const { participants, nonce, ...rest } = checked(studyRequestSchema, "The study", value)
  const present = participantsOf(service)
  if (participants !== undefined && lines(participants) !== lines(present))
    throw new ConsiliumError(
      "api/other-participants",
      `The study names ${participants.length} participants that are not the ${present.length} present ones.`,
    )
  return studyOf({ ...rest, nonce: nonce ?? toHex(random.bytes(32)), participants: present })
}
