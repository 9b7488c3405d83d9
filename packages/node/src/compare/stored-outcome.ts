import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { z } from "zod"
import { placeOf } from "../doctor/place.js"
import { OUTCOME_FILE } from "../roles/outcome.js"
import { studiesFolder } from "../roles/roster-shelf.js"

const whole = z.int().min(0)
const figure = z.number().nullable()

/** What is needed of an `outcome.json`; earlier versions wrote less. */
const outcomeSchema = z.looseObject({
  id: z.string(),
  study: z.string(),
  strategy: z.string().optional(),
  protection: z.string().optional(),
  plannedRounds: whole.optional(),
  startedAt: z.number().nullable(),
  complete: z.boolean(),
  reason: z.string().nullable(),
  modelHash: z.string(),
  rounds: z.array(
    z.looseObject({
      seconds: z.number(),
      bytes: z.looseObject({ leaderIn: whole, facilityUp: whole }),
    }),
  ),
  facilities: z.array(
    z.looseObject({
      name: z.string(),
      global: z
        .looseObject({
          rows: whole,
          accuracy: figure,
          balancedAccuracy: figure,
          auc: figure,
          logLoss: figure,
        })
        .nullable(),
    }),
  ),
  privacy: z.array(z.looseObject({ facility: z.string(), epsilon: figure, delta: figure })),
})
export type StoredOutcome = z.output<typeof outcomeSchema>

/** @throws {ConsiliumError} "config/invalid" */
const readOutcome = async (path: string): Promise<StoredOutcome> => {
  const invalid = (cause: unknown): ConsiliumError =>
    new ConsiliumError("config/invalid", `${path} is no outcome of a study.`, {
      remedy: "Take it from the leader's data folder again; the leader writes it when a study is over.",
      cause,
    })
  let value: unknown
  try {
    value = JSON.parse(await readFile(path, "utf8"))
  } catch (cause) {
    throw invalid(cause)
  }
  const parsed = outcomeSchema.safeParse(value)
  if (!parsed.success) throw invalid(parsed.error)
  return parsed.data
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/** The outcomes in a leader's data folder, in the order in which the studies began. */
const outcomesIn = async (dataFolder: string): Promise<readonly StoredOutcome[]> => {
  const folder = studiesFolder(dataFolder)
  const outcomes: StoredOutcome[] = []
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name, OUTCOME_FILE)
    if (await isFile(path)) outcomes.push(await readOutcome(path))
  }
  const began = ({ startedAt }: StoredOutcome): number => startedAt ?? Number.POSITIVE_INFINITY
  return outcomes.sort((a, b) => began(a) - began(b))
}

const listed = (outcomes: readonly StoredOutcome[]): string =>
  outcomes.length === 0
    ? "there is none"
    : `there are ${outcomes.map(({ study, id }) => `${study} (${id.slice(0, 16)})`).join(", ")}`

/**
 * The outcomes of a leader's finished studies, by its configuration file: those that are named, each by its name or the
 * beginning of its id, or all of them.
 * @throws {ConsiliumError} "audit/no-study" if a name fits none or several
 */
export const leaderOutcomes = async (
  configPath: string,
  names: readonly string[],
): Promise<readonly StoredOutcome[]> => {
  const { role, name, dataFolder } = await placeOf(configPath)
  if (role !== "leader")
    throw new ConsiliumError("config/invalid", `${configPath} is of the ${role} ${name}, not of a leader.`, {
      remedy: "Give the leader's own leader.yaml: outcomes are in its data folder.",
    })
  const all = await outcomesIn(dataFolder)
  if (names.length === 0) return all
  return names.map((wanted) => {
    const fits = all.filter(({ study, id }) => study === wanted || id.startsWith(wanted))
    if (fits.length === 1) return fits[0] as StoredOutcome
    throw new ConsiliumError(
      "audit/no-study",
      `${fits.length === 0 ? "No finished study" : "More than one finished study"} of this leader is called ${JSON.stringify(wanted)}; ${listed(all)}.`,
    )
  })
}

/**
 * The outcome at a path: an `outcome.json`, the folder that holds it, or a folder of one finished study: a leader's data
 * folder, a leader's folder, or the folder of a demo.
 * @throws {ConsiliumError} "audit/no-study" if there is none, or more than one
 */
export const outcomeAt = async (path: string): Promise<StoredOutcome> => {
  if (await isFile(path)) return readOutcome(path)
  const file = join(path, OUTCOME_FILE)
  if (await isFile(file)) return readOutcome(file)
  const places = await Promise.all(
    [path, join(path, "data"), join(path, "leader", "data")].map((place) => outcomesIn(place)),
  )
  const found = places.find((outcomes) => outcomes.length > 0) ?? []
  const [only, ...others] = found
  if (only !== undefined && others.length === 0) return only
  throw new ConsiliumError(
    "audit/no-study",
    `${path} holds ${found.length === 0 ? "no outcome of a finished study" : `several; ${listed(found)}`}.`,
    {
      remedy:
        "Give a folder with outcome.json in it; a leader's are in <data folder>/studies/<first 16 digits of the id>.",
    },
  )
}
