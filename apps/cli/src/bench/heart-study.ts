import { join } from "node:path"
import type { Study } from "@consilium/federation/study"
import { type StudyFileInput, seededNonce, studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { prepare, type RawRecords, readRecords } from "@consilium/node/local-records"
import { seededRoundSecret } from "@consilium/node/roles/round-secrets"
import { HEART_CENTRES } from "@consilium/records/heart-schema"
import { type DirectFacility, type DirectResult, trainDirectly } from "../demo/direct-training.js"
import { centreFile } from "../demo/heart-files.js"
import { HEART, type StudyPlan, studyOn } from "../demo/studies.js"

/** The four centres of the published benchmark, as they are in their files. */
export type HeartCentres = ReadonlyMap<string, RawRecords>

export const readCentres = async (folder: string): Promise<HeartCentres> =>
  new Map(
    await Promise.all(
      HEART_CENTRES.map(async (centre) => {
        const file = await centreFile(folder, centre)
        const records = { format: "uci-heart" as const, centre, file }
        return [centre, await readRecords(centre, join(folder, "none"), { records } as never)] as const
      }),
    ),
  )

type Plan = Partial<Omit<StudyPlan, "name" | "nonce" | "facilities" | "fogs" | "protection" | "synthetic">>

/** A study among the four centres, seeded; no run of it protects anybody. */
export const heartStudy = (seed: number, plan: Plan, changes: Partial<StudyFileInput> = {}): Study =>
  studyOf(
    studyFileSchema.parse({
      ...studyOn(HEART, {
        rounds: 15,
        ...plan,
        name: "heart",
        nonce: seededNonce("heart", seed),
        seed,
        facilities: [...HEART_CENTRES],
        fogs: ["fog"],
        protection: "shamir",
        synthetic: false,
      }),
      ...changes,
    }),
  )

/** The centres as a study prepares them; `like` where another study's preparation is wanted. */
export const centresFor = (
  centres: HeartCentres,
  like: Pick<Study, "privacy" | "model" | "data">,
): readonly DirectFacility[] => [...centres].map(([name, raw]) => ({ name, ...prepare(raw, like) }))

/** Trains a seeded study in this process. */
export const runSeeded = (study: Study, facilities: readonly DirectFacility[], seed: number): DirectResult =>
  trainDirectly(study, facilities, (facility, round) => seededRoundSecret(study.name, seed, facility, round))
