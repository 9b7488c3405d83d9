import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { DEFAULT_POLICY } from "@consilium/federation/policy"
import type { Protection, Study } from "@consilium/federation/study"
import { type PrivacyTerms, withPrivacyTerms } from "@consilium/node/config/privacy-config"
import {
  type FacilityFileInput,
  facilityFileText,
  fogFileText,
  leaderFileText,
} from "@consilium/node/config/role-files"
import { type StudyFileInput, seededNonce, studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { mappingFileText } from "@consilium/node/config/table-files"
import { parseAddress } from "@consilium/node/identity/names"
import type { Place } from "@consilium/node/in-process/federation"
import { initStudy } from "@consilium/node/init"
import { LOOPBACK, reserveAddress } from "@consilium/node/transport/address"
import { HEART_CENTRES } from "@consilium/records/heart-schema"
import { simulatedFile } from "@consilium/records/simulator/site-file"
import type { SimulatedSite } from "@consilium/records/simulator/sites"
import { type FacilityKind as HeartKind, syntheticHeart } from "@consilium/records/synthetic-heart"
import {
  type ChestImages,
  chestFolder,
  chestRecords,
  dealChestImages,
  writeChestImages,
} from "./chest-images.js"
import { centreFile } from "./heart-files.js"
import { imageStudy } from "./image-study.js"
import { CARDIOVASCULAR, type DemoStrategy, HEART, type StudyPlan, studyOn } from "./studies.js"
import { type DemoSubject, isMadeUp } from "./subjects.js"

export interface DemoPlan {
  readonly study: DemoSubject
  readonly data: string | null
  readonly facilities: number
  readonly fogs: number
  readonly rounds: number
  readonly seed: number | null
  readonly strategy: DemoStrategy
  readonly proximalMu?: number | undefined
  readonly learningRate: number | undefined
  readonly fineTuneSteps: number
  readonly protection: Protection
  /** Most that each facility may spend of its patients' privacy, in nats; null trains without noise. */
  readonly epsilon: number | null
  /** What else the run says of noise and encryption; null for the study's own. */
  readonly terms?: PrivacyTerms | null
}

const subjectStudy = (subject: DemoSubject, plan: StudyPlan): StudyFileInput => {
  if (subject === "pneumonia") return imageStudy(plan)
  return studyOn(subject === "simulated" ? CARDIOVASCULAR : HEART, plan)
}

/** The study of a plan, among participants. */
const studyFileOf = (
  plan: DemoPlan,
  facilities: readonly string[],
  fogs: readonly string[],
): StudyFileInput => {
  const own = ownFileOf(plan, facilities, fogs)
  const { terms = null } = plan
  const file = terms === null ? own : withPrivacyTerms(studyFileSchema.parse(own), terms)
  // fogs would read what each facility adds to an evaluation with its share of the noise alone
  return file.privacy && file.protection === "plain" ? { ...file, evaluation: null } : file
}

const ownFileOf = (plan: DemoPlan, facilities: readonly string[], fogs: readonly string[]): StudyFileInput =>
  subjectStudy(plan.study, {
    name: plan.study === "heart" || plan.study === "pneumonia" ? plan.study : "simulated",
    nonce: plan.seed === null ? toHex(systemRandom.bytes(32)) : seededNonce(plan.study, plan.seed),
    seed: plan.seed,
    rounds: plan.rounds,
    facilities,
    fogs,
    protection: plan.protection,
    synthetic: isMadeUp(plan.study),
    strategy: plan.strategy,
    proximalMu: plan.proximalMu,
    learningRate: plan.learningRate,
    fineTuneSteps: plan.fineTuneSteps,
    epsilon: plan.epsilon,
    evaluated: plan.study !== "synthetic-heart",
  })

export interface DemoProcess {
  readonly role: "authority" | "leader" | "fog" | "facility"
  readonly name: string
  readonly config: string
}

export interface DemoLayout {
  readonly folder: string
  readonly processes: readonly DemoProcess[]
  /** Configuration files of the facilities, by name, for the baselines. */
  readonly facilities: ReadonlyMap<string, { readonly configPath: string; readonly file: FacilityFileInput }>
}

/** Rows of the synthetic heart facilities, in turn: large and small ones of each kind. */
const HEART_SIZES = [260, 70, 150, 180, 50, 110]
/** The synthetic rows of a run without a seed: the same people every time; nothing secret follows from it. */
const SYNTHETIC_SEED = 1

const heartRecords = async (
  data: string | null,
): Promise<ReadonlyMap<string, FacilityFileInput["records"]>> => {
  if (data === null)
    throw new ConsiliumError(
      "cli/usage",
      "The heart study needs the folder of the four processed UCI files.",
      {
        remedy:
          "Add --data DIR; the files are at archive.ics.uci.edu under Heart Disease. Without data, --study simulated runs.",
      },
    )
  const out = new Map<string, FacilityFileInput["records"]>()
  for (const centre of HEART_CENTRES)
    out.set(centre, { format: "uci-heart", centre, file: await centreFile(data, centre) })
  return out
}

/** Two facilities of each of three kinds, none of which has enough patients for the 29 features by itself. */
const SITES: readonly SimulatedSite[] = [
  { kind: "hospital", rows: 300 },
  { kind: "clinic", rows: 260 },
  { kind: "research-centre", rows: 200 },
  { kind: "hospital", rows: 220 },
  { kind: "clinic", rows: 200 },
  { kind: "research-centre", rows: 180 },
]

/** The simulated facilities: the sites in turn, numbered within their kind. */
const madeUpSites = (count: number): readonly (SimulatedSite & { readonly name: string })[] => {
  const numbers = new Map<string, number>()
  return Array.from({ length: count }, (_, i) => {
    const site = SITES[i % SITES.length] as SimulatedSite
    const number = (numbers.get(site.kind) ?? 0) + 1
    numbers.set(site.kind, number)
    return { ...site, name: `${site.kind}-${number}` }
  })
}

const freePort = async (): Promise<{ readonly host: string; readonly port: number }> => {
  const reserved = await reserveAddress(LOOPBACK, [0])
  await reserved.close()
  return parseAddress(reserved.address)
}

/** The study of a plan among facilities by themselves: all that training depends on. */
export const studyOfPlan = (plan: DemoPlan, facilities: readonly string[]): Study =>
  studyOf(studyFileSchema.parse(studyFileOf(plan, facilities, ["fog"])))

/** Caps that let a study of this budget run, and another beside it in the same month. */
const capsFor = (epsilon: number, wanted = 0) => {
  const { study, month } = DEFAULT_POLICY.privacy
  const delta = Math.max(wanted, study.delta)
  return {
    study: { epsilon: Math.max(epsilon, study.epsilon), delta },
    month: { epsilon: Math.max(2.5 * epsilon, month.epsilon), delta },
  }
}

const chestImages = async ({ study, data, facilities }: DemoPlan): Promise<readonly ChestImages[]> =>
  study === "pneumonia" ? dealChestImages(chestFolder(data), facilities) : []

/** The facilities of a plan, each with its records and its own rules. */
const facilityFiles = async (
  plan: DemoPlan,
  dealt: readonly ChestImages[],
): Promise<ReadonlyMap<string, FacilityFileInput>> => {
  const records =
    plan.study === "pneumonia"
      ? new Map(dealt.map(({ name }) => [name, chestRecords()]))
      : plan.study === "heart"
        ? await heartRecords(plan.data)
        : new Map<string, FacilityFileInput["records"]>(
            madeUpSites(plan.facilities).map(({ name }) => [
              name,
              plan.study === "simulated"
                ? { format: "table", schema: "cardiovascular", file: "records.csv", mapping: "mapping.yaml" }
                : { format: "heart-csv", file: "records.csv" },
            ]),
          )
  return new Map<string, FacilityFileInput>(
    [...records].map(([name, source]) => [
      name,
      {
        records: source,
        policy: {
          // a facility must allow what a demo asks for: no protection and a public seed are for demos only
          metrics: "exact",
          ...(plan.protection === "plain" ? { protections: ["plain"] as const } : {}),
          ...(plan.seed === null ? {} : { insecure_seed: true }),
          ...(plan.epsilon === null ? {} : { privacy: capsFor(plan.epsilon, plan.terms?.privacy?.delta) }),
        } as FacilityFileInput["policy"],
      },
    ]),
  )
}

const fogNames = ({ fogs }: DemoPlan): readonly string[] =>
  Array.from({ length: fogs }, (_, i) => `fog-${i + 1}`)

/** Writes made-up rows where the facilities' own configuration looks for them. */
const writeMadeUp = async (folder: string, plan: DemoPlan): Promise<void> => {
  for (const [i, { name, kind, rows }] of madeUpSites(plan.facilities).entries()) {
    const local = join(folder, name, "local")
    await mkdir(local, { recursive: true, mode: 0o700 })
    const write = (file: string, content: string | Uint8Array): Promise<void> =>
      writeFile(join(local, file), content, { mode: 0o600 })
    if (plan.study === "simulated") {
      const random = insecureSeededRandom(plan.seed ?? SYNTHETIC_SEED, "simulated", name)
      const { csv, mapping } = simulatedFile({ kind, rows, random, coding: "site" })
      await write("records.csv", csv)
      await write("mapping.yaml", mappingFileText(mapping))
      continue
    }
    const random = insecureSeededRandom(plan.seed ?? SYNTHETIC_SEED, "synthetic-heart", name)
    const profile = kind as HeartKind
    const size = HEART_SIZES[i % HEART_SIZES.length] as number
    await write("records.csv", syntheticHeart({ profile, rows: size, random }))
  }
}

/** Lays out the study of a demo: data, kits and configuration, each participant in its own folder. */
export const layOut = async (folder: string, plan: DemoPlan): Promise<DemoLayout> => {
  const dealt = await chestImages(plan)
  const files = await facilityFiles(plan, dealt)
  const fogs = fogNames(plan)
  const local = new Map<string, string>([["leader", leaderFileText({ listen: { ports: [8443, 0] } })]])
  for (const fog of fogs) local.set(fog, fogFileText({}))
  for (const [name, file] of files) local.set(name, facilityFileText(file))
  const { authorityFile, configs } = await initStudy({
    folder,
    authority: await freePort(),
    local,
    study: studyFileOf(plan, [...files.keys()], fogs),
  })
  if (isMadeUp(plan.study)) await writeMadeUp(folder, plan)
  await writeChestImages(folder, dealt)
  const config = (name: string): string => configs.get(name) as string
  return {
    folder,
    processes: [
      { role: "authority", name: "authority", config: authorityFile },
      { role: "leader", name: "leader", config: config("leader") },
      ...fogs.map((name): DemoProcess => ({ role: "fog", name, config: config(name) })),
      ...[...files.keys()].map((name): DemoProcess => ({ role: "facility", name, config: config(name) })),
    ],
    facilities: new Map([...files].map(([name, file]) => [name, { configPath: config(name), file }])),
  }
}

/** A demo's study for one process: no kits, since nothing is handed over. */
export interface InProcessLayout extends Pick<DemoLayout, "folder" | "facilities"> {
  readonly study: Study
  readonly places: readonly Place[]
}

/** Everybody takes turns in one process, so nobody is late and no deadline is to end a round. */
const UNHURRIED = { collect: 3600, answer: 3600 }

/** The same study as `layOut` lays out, but for its deadlines, which decide nothing about the model. */
export const layOutInProcess = async (folder: string, plan: DemoPlan): Promise<InProcessLayout> => {
  const dealt = await chestImages(plan)
  const files = await facilityFiles(plan, dealt)
  const file = studyFileSchema.parse({
    ...studyFileOf(plan, [...files.keys()], fogNames(plan)),
    deadlines: UNHURRIED,
  })
  const study = studyOf(file)
  if (isMadeUp(plan.study)) await writeMadeUp(folder, plan)
  await writeChestImages(folder, dealt)
  return {
    folder,
    study,
    places: file.participants,
    facilities: new Map(
      [...files].map(([name, input]) => [
        name,
        { configPath: join(folder, name, "local", "facility.yaml"), file: input },
      ]),
    ),
  }
}
