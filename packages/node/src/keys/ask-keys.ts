import { ConsiliumError } from "@consilium/base/errors"
import { type RotationAnswer, type RotationRequest, rotationAnswerSchema } from "../api/key-schemas.js"
import { type Place, placeOf } from "../doctor/place.js"
import { askRole } from "../doctor/role-status.js"
import { askedOrOpened, type LeaderStudy, storedLog } from "../models/leader-models.js"
import { readHistory } from "../models/model-log.js"
import {
  type FacilityKeys,
  facilityKeysSchema,
  leaderKeysSchema,
  type StudyKeys,
  studyKeysOf,
} from "./key-status.js"

/** What a role knows of its studies' keys. */
export type RoleKeys =
  | { readonly role: "leader"; readonly studies: readonly StudyKeys[] }
  | ({ readonly role: "facility" } & FacilityKeys)

const otherRole = (config: string, { role, name }: Place, remedy: string): ConsiliumError =>
  new ConsiliumError("config/invalid", `${config} is of the ${role} ${name}.`, { remedy })

/**
 * The keys of a leader's studies, or of those of a facility: from the role if it runs; a leader's also from its folder where
 * it does not.
 * @throws {ConsiliumError} "admin/not-running" of a facility, "admin/no-such-study", "audit/no-study", "config/invalid"
 */
export const keysOfRole = async ({ config, study }: LeaderStudy): Promise<RoleKeys> => {
  const place = await placeOf(config)
  if (place.role === "facility") {
    const { facility, studies } = await askRole(place, "keys", {}, facilityKeysSchema)
    const fits = studies.filter(
      ({ id, name }) => study === undefined || name === study || id.startsWith(study),
    )
    if (study !== undefined && fits.length !== 1)
      throw new ConsiliumError(
        "admin/no-such-study",
        `${fits.length === 0 ? "No study" : "More than one study"} of ${facility} is called ${JSON.stringify(study)}; there are ${studies.map(({ id, name }) => `${name} (${id.slice(0, 16)})`).join(", ")}.`,
      )
    return { role: "facility", facility, studies: fits }
  }
  if (place.role !== "leader")
    throw otherRole(
      config,
      place,
      "Give a leader.yaml or a facility.yaml: authorities and fogs hold no keys of studies.",
    )
  const { studies } = await askedOrOpened(
    { config, study },
    { command: "keys", args: {}, result: leaderKeysSchema },
    async (stored) => ({ studies: [studyKeysOf((await readHistory(storedLog(stored))).view)] }),
  )
  return { role: "leader", studies }
}

/**
 * Asks a running leader that the next round of a study begin with new keys.
 * @throws {ConsiliumError} "keys/none", "keys/no-round", "admin/not-running", "admin/no-such-study"
 */
export const askRotation = async (
  { config, study }: Pick<LeaderStudy, "config" | "study">,
  wish: RotationRequest,
): Promise<RotationAnswer> => {
  const place = await placeOf(config)
  if (place.role !== "leader")
    throw otherRole(config, place, "Give the leader's own leader.yaml: the leader calls for key ceremonies.")
  const args = { ...wish, ...(study === undefined ? {} : { study }) }
  return askRole(place, "rotate-keys", args, rotationAnswerSchema)
}
