import { stat } from "node:fs/promises"
import { join } from "node:path"
import { compareBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import type { PlannedSetting } from "@consilium/federation/plan"
import type { NoiseChoice } from "@consilium/federation/plan-privacy"
import type { PlannedFacility } from "@consilium/federation/plan-study"
import { DEFAULT_POLICY } from "@consilium/federation/policy"
import { Directory, participantId } from "@consilium/federation/roster"
import { decodeStudy, type Study, studyDigest } from "@consilium/federation/study"
import { checkStudyAmong } from "@consilium/federation/study-tree"
import type { Preset } from "../api/preset-schemas.js"
import { studyRequestSchema } from "../api/schemas.js"
import { type PrivacyConfig, type PrivacyTerms, withPrivacyTerms } from "../config/privacy-config.js"
import { facilityFileSchema, policyOf } from "../config/role-files.js"
import { type StudyFile, studyOf } from "../config/study-file.js"
import { noiseChoice } from "../config/study-privacy.js"
import { readConfig } from "../config/yaml-file.js"
import { configuredStudy } from "../roles/configured-study.js"

/** All that a plan is made of. */
export interface PlannedStudy {
  readonly setting: PlannedSetting
  readonly facilities: readonly PlannedFacility[]
  readonly noise: NoiseChoice | null
  /** What a reader should know of a privacy configuration that it was made with. */
  readonly notes: readonly string[]
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

/** @throws {ConsiliumError} "config/invalid", "round/bad-study", "privacy/..." */
const fromFile = (given: StudyFile, terms: PrivacyTerms | null): Omit<PlannedStudy, "facilities"> => {
  const file = terms === null ? given : withPrivacyTerms(given, terms)
  const study = studyOf(file)
  return {
    notes: terms?.notes ?? [],
    setting: { study, directory: directoryOf(study, file.participants) },
    noise: noiseChoice(study, file.privacy?.noise_multiplier ?? null, file.privacy?.calibrate ?? true),
  }
}

/**
 * The study of a study.yaml. The nonce may be left out, and so may the participants where `present` names them.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "round/bad-study"
 */
export const studyFileToPlan = async (
  path: string,
  present: Participants | null = null,
  terms: PrivacyTerms | null = null,
): Promise<PlannedStudy> => {
  const { nonce = "00".repeat(32), participants, ...rest } = await readConfig(studyRequestSchema, path)
  const among = participants ?? present
  if (among === null)
    throw new ConsiliumError("config/invalid", `${path} names no participants.`, {
      remedy: "Name them, or give --leader as well: then those who are present are meant.",
    })
  return studyOfFileToPlan({ ...rest, nonce, participants: among }, terms)
}

/** The study of a file's content. @throws {ConsiliumError} "config/invalid", "round/bad-study" */
export const studyOfFileToPlan = (file: StudyFile, terms: PrivacyTerms | null): PlannedStudy => ({
  ...fromFile(file, terms),
  facilities: withDefaults(file.participants),
})

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/**
 * The study of a folder as `consilium init` lays it out, with the policies of the facilities whose own files are there.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "round/bad-study"
 */
export const studyFolderToPlan = async (
  folder: string,
  terms: PrivacyTerms | null = null,
): Promise<PlannedStudy> => {
  if (await isFile(folder))
    throw new ConsiliumError("config/unreadable", `${folder} is a file, not a study's folder.`, {
      remedy: `Give the folder with --config, or the file with --file ${folder}.`,
    })
  const { facilities, ...rest } = await studyFileToPlan(join(folder, "study.yaml"), null, terms)
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
  return { ...rest, facilities: known }
}

/**
 * The study that a leader's preset stands for, or a privacy configuration in its place.
 * @throws {ConsiliumError} "api/failed" if it is of another version; "round/bad-study"
 */
export const presetToPlan = (
  { study: encoded, participants, noise: own }: Preset,
  config: PrivacyConfig | null = null,
): PlannedStudy => {
  let study: Study
  let noise: NoiseChoice | null = own
  let notes: readonly string[] = []
  try {
    study = decodeStudy(new Uint8Array(Buffer.from(encoded, "base64")))
  } catch (cause) {
    throw new ConsiliumError("api/failed", "The leader's study cannot be read by this version.", {
      remedy: "Use the command line of the version that the leader runs.",
      cause,
    })
  }
  if (config !== null) {
    const made = configuredStudy(config, [study], named(participants).length, systemRandom)
    if ("missing" in made)
      throw new ConsiliumError(
        "api/not-available",
        `This privacy configuration cannot be planned: ${made.missing}`,
      )
    ;({ study, noise, notes } = made)
  }
  const directory = directoryOf(study, participants)
  checkStudyAmong(study, directory.roster.participants)
  return { setting: { study, directory }, facilities: withDefaults(participants), noise, notes }
}
