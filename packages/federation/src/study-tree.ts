import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "./roster.js"
import { checkStudy, isLattice, type Study, studyAmong } from "./study.js"
import { latticeProblem } from "./sums/lattice-parameters.js"
import { protectionOf } from "./sums/protections.js"

/** Who is enrolled, as far as a study's rules ask. */
export type Enrolled = readonly Pick<Participant, "id" | "name" | "role" | "parent">[]

/**
 * Facilities whose updates the leader would read one by one: those that talk to it directly, where a sum needs nobody's
 * answer to be opened.
 */
export const readByLeader = (study: Study, enrolled: Enrolled): readonly string[] => {
  const { added, opened } = protectionOf(study)
  const leader = enrolled.find(({ role }) => role === "leader")
  if (added === null || opened !== null || leader === undefined) return []
  return enrolled
    .filter(({ role, parent }) => role === "facility" && parent !== null && equalBytes(parent, leader.id))
    .map(({ name }) => name)
}

/**
 * Refuses a study among participants of whom the leader could read single updates.
 * @throws {ConsiliumError} "round/bad-study"
 */
export const checkTree = (study: Study, enrolled: Enrolled): void => {
  const [first, ...others] = readByLeader(study, enrolled)
  if (first === undefined) return
  const who = others.length === 0 ? first : `${first} and ${others.length} more`
  throw new ConsiliumError(
    "round/bad-study",
    `Under ${study.protection} the leader would read the single updates of facilities that talk to it directly: ${who}.`,
    { remedy: "Put them below a fog, or choose a protection that hides single updates, such as shamir." },
  )
}

/**
 * Refuses a study for whose sums there are no safe parameters.
 * @throws {ConsiliumError} "round/bad-study"
 */
export const checkSums = (study: Study, facilities: number): void => {
  const problem = isLattice(study) ? latticeProblem(study, facilities) : null
  if (problem === null) return
  throw new ConsiliumError(
    "round/bad-study",
    `There are no safe parameters for sums under ${study.protection} among ${facilities} facilities: ${problem}`,
    {
      remedy:
        "Lower quantisation.largest_weight or keys.openings, take fewer facilities, or choose the protection shamir.",
    },
  )
}

/**
 * Refuses a study that cannot go on among these participants.
 * @throws {ConsiliumError} "round/bad-study" with what fails
 */
export const checkStudyAmong = (study: Study, enrolled: Enrolled): void => {
  const facilities = enrolled.filter(({ role }) => role === "facility").length
  const among = studyAmong(study, facilities)
  checkStudy(among, facilities)
  checkSums(among, facilities)
  checkTree(study, enrolled)
}
