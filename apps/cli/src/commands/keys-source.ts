import { ConsiliumError } from "@consilium/base/errors"
import { keysOfRole, type RoleKeys } from "@consilium/node/keys/ask-keys"
import { type StudyKeys, studyKeysOf } from "@consilium/node/keys/key-status"
import type { Format } from "./printed.js"
import type { Leader } from "./study-api.js"
import { allStudies, studyNamed, viewOf } from "./study-named.js"

/** Where the keys of a study are asked for: at a leader's API, or by a role's own file. */
export interface KeysPlace extends Partial<Leader> {
  readonly config?: string
  readonly study?: string
  readonly format: Format
}

/** The same, where the API was named. */
export const apiOf = (place: KeysPlace): Leader | null =>
  place.leader === undefined ? null : { ...place, leader: place.leader }

const overApi = async (leader: Leader, study: string | undefined): Promise<readonly StudyKeys[]> => {
  const { studies } =
    study === undefined ? await allStudies(leader) : { studies: [await studyNamed(leader, study)] }
  const all: StudyKeys[] = []
  for (const { id } of studies) all.push(studyKeysOf(await viewOf(leader, id)))
  return all
}

export const keysAt = async (place: KeysPlace): Promise<RoleKeys> => {
  const { config = "", study } = place
  const leader = apiOf(place)
  return leader === null
    ? keysOfRole({ config, study })
    : { role: "leader", studies: await overApi(leader, study) }
}

/**
 * The keys of the one study that is meant, as its leader's log shows them.
 * @throws {ConsiliumError} "admin/no-such-study" if several could be, "config/invalid" at a facility
 */
export const studyKeysAt = async (place: KeysPlace): Promise<StudyKeys> => {
  const found = await keysAt(place)
  if (found.role !== "leader")
    throw new ConsiliumError("config/invalid", `${place.config} is of the facility ${found.facility}.`, {
      remedy: "Give the leader's own leader.yaml, or its API: ceremonies are in the leader's log.",
    })
  const [only, ...others] = found.studies
  if (only === undefined || others.length > 0)
    throw new ConsiliumError(
      "admin/no-such-study",
      `This leader has ${found.studies.length} studies: ${found.studies.map(({ study }) => `${study.name} (${study.id.slice(0, 16)})`).join(", ")}.`,
    )
  return only
}
