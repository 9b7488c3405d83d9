import { stat } from "node:fs/promises"
import { join } from "node:path"
import { compareBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { PlannedSetting } from "@consilium/federation/plan"
import type { NoiseChoice } from "@consilium/federation/plan-privacy"
import type { PlannedFacility } from "@consilium/federation/plan-study"
import { DEFAULT_POLICY } from "@consilium/federation/policy"
import { planNoise } from "@consilium/federation/privacy-plan"
import { Directory, participantId } from "@consilium/federation/roster"
import { decodeStudy, type Study, studyDigest } from "@consilium/federation/study"
import { checkStudyAmong } from "@consilium/federation/study-tree"
import type { Preset } from "../api/preset-schemas.js"
import { studyRequestSchema } from "../api/schemas.js"
import { facilityFileSchema, policyOf } from "../config/role-files.js"
import { type StudyFile, studyOf } from "../config/study-file.js"
import { readConfig } from "../config/yaml-file.js"

/** All that a plan is made of. */
export interface PlannedStudy {
  readonly setting: PlannedSetting
  readonly facilities: readonly PlannedFacility[]
  readonly noise: NoiseChoice | null
}

type Participants = StudyFile["participants"]

/** Everybody of a study that has not begun, with keys of zeros: nothing is ever signed or sealed among them. */
const directoryOf = (study: Study, participants: Participants): Directory =>
  new Directory({
    study: studyDigest(study),
    version: 1,
    issuedAt: 0,
    participants: participants
      .map(({ name, role, parent }) => ({
        id: participantId(name),
        name,
        role,
        parent: parent === null ? null : participantId(parent),
        address: "",
        signingKey: new Uint8Array(32),
        sealingKey: new Uint8Array(32),
        tlsKeyHash: new Uint8Array(32),
      }))
      .sort((a, b) => compareBytes(a.id, b.id)),
  })

const named = (participants: Participants): readonly string[] =>
  participants.flatMap(({ name, role }) => (role === "facility" ? [name] : []))

const withDefaults = (participants: Participants): readonly PlannedFacility[] =>
  named(participants).map((name) => ({ name, policy: DEFAULT_POLICY, policyFrom: null }))

/** Where the noise of a study file comes from: the floor it names, or what its budget needs. */
const noiseOf = ({ privacy, model, training, rounds }: StudyFile, study: Study): NoiseChoice | null => {
  if (privacy === null || study.privacy === null) return null
  const { noiseMultiplier: used, epsilon, delta, maxGradNorm, sampleRate } = study.privacy
  const floor = privacy.noise_multiplier
  if (!privacy.calibrate) return { from: "given", floor, calibrated: null }
  if (floor === null || used > floor) return { from: "calibrated", floor, calibrated: used }
  const dimension = model.features.length + 1
  const steps = training.steps * rounds
  const wanted = { epsilon, delta, maxGradNorm, sampleRate, floor: null, calibrate: true, dimension, steps }
  const { noiseMultiplier: calibrated } = planNoise(wanted)
  return { from: floor > calibrated ? "floor" : "calibrated", floor, calibrated }
}

/** @throws {ConsiliumError} "config/invalid", "round/bad-study", "privacy/..." */
const fromFile = (file: StudyFile): Omit<PlannedStudy, "facilities"> => {
  const study = studyOf(file)
  return { setting: { study, directory: directoryOf(study, file.participants) }, noise: noiseOf(file, study) }
}

/**
 * The study of a study.yaml. The nonce may be left out, and so may the participants where `present` names them.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "round/bad-study"
 */
export const studyFileToPlan = async (
  path: string,
  present: Participants | null = null,
): Promise<PlannedStudy> => {
  const { nonce = "00".repeat(32), participants, ...rest } = await readConfig(studyRequestSchema, path)
  const among = participants ?? present
  if (among === null)
    throw new ConsiliumError("config/invalid", `${path} names no participants.`, {
      remedy: "Name them, or give --leader as well: then those who are present are meant.",
    })
  return { ...fromFile({ ...rest, nonce, participants: among }), facilities: withDefaults(among) }
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/**
 * The study of a folder as `consilium init` lays it out, with the policies of the facilities whose own files are there.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "round/bad-study"
 */
export const studyFolderToPlan = async (folder: string): Promise<PlannedStudy> => {
  const { setting, facilities, noise } = await studyFileToPlan(join(folder, "study.yaml"))
  const known: PlannedFacility[] = []
  for (const facility of facilities) {
    const path = join(folder, facility.name, "local", "facility.yaml")
    known.push(
      (await isFile(path))
        ? {
            name: facility.name,
            policy: policyOf(await readConfig(facilityFileSchema, path)),
            policyFrom: path,
          }
        : facility,
    )
  }
  return { setting, facilities: known, noise }
}

/**
 * The study that a leader's preset stands for.
 * @throws {ConsiliumError} "api/failed" if it is of another version; "round/bad-study"
 */
export const presetToPlan = ({ study: encoded, participants, noise }: Preset): PlannedStudy => {
  let study: Study
  try {
    study = decodeStudy(new Uint8Array(Buffer.from(encoded, "base64")))
  } catch (cause) {
    throw new ConsiliumError("api/failed", "The leader's study cannot be read by this version.", {
      remedy: "Use the command line of the version that the leader runs.",
      cause,
    })
  }
  const directory = directoryOf(study, participants)
  checkStudyAmong(study, directory.roster.participants)
  return { setting: { study, directory }, facilities: withDefaults(participants), noise }
}
