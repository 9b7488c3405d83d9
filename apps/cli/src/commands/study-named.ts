import { ConsiliumError } from "@consilium/base/errors"
import { studyListSchema, studyViewSchema } from "@consilium/node/api/schemas"
import type { StudySummary, StudyView } from "@consilium/node/api/study-view"
import { callLeader, type Leader } from "./study-api.js"

export const allStudies = (leader: Leader): Promise<{ readonly studies: readonly StudySummary[] }> =>
  callLeader(leader, { method: "GET", path: "/v1/studies" }, studyListSchema)

/**
 * The one study of a leader that has a name, or whose id begins so; its only one, if no name is given.
 * @throws {ConsiliumError} "admin/no-such-study"
 */
export const studyNamed = async (leader: Leader, name: string | undefined): Promise<StudySummary> => {
  const { studies } = await allStudies(leader)
  const fits = studies.filter((one) => name === undefined || one.name === name || one.id.startsWith(name))
  const [found, ...others] = fits
  if (found === undefined || others.length > 0)
    throw new ConsiliumError(
      "admin/no-such-study",
      `${fits.length} studies of the leader fit; there are ${studies.map((one) => `${one.name} (${one.id.slice(0, 16)})`).join(", ")}.`,
    )
  return found
}

export const viewOf = (leader: Leader, id: string): Promise<StudyView> =>
  callLeader(leader, { method: "GET", path: `/v1/studies/${id}` }, studyViewSchema)
