import { access, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom, uniformBelow } from "@consilium/base/random"
import type { RoundSpec } from "@consilium/federation/messages"
import { privacyLedgerOf } from "@consilium/node/doctor/privacy-ledger"
import {
  chargesRow,
  emptyBatchRow,
  type LedgerTold,
  noiseRow,
  onceRow,
  oneRunRow,
  type Seen,
  samplingRows,
  sentAgain,
} from "./facility-process-figures.js"
import { chargesOf, receivedBy } from "./facility-process-record.js"
import { type AuditedProcess, AuditedProcesses } from "./facility-process-run.js"
import {
  type AuditStudy,
  FEW,
  FOG,
  LEADER,
  layOutAudit,
  MANY,
  ROUNDS,
  THIRD,
} from "./facility-process-study.js"
import type { Section } from "./section.js"

/** The program that this one was started from. */
const OWN_PROGRAM = fileURLToPath(new URL("../process.js", import.meta.url))
const FACILITIES = [MANY, FEW]
/** Rounds after which the study is disturbed: an attempt made void, then two kills at any moment. */
const VOIDED_AFTER = 5
const KILLED_AFTER = [20, 40]
/** Milliseconds: about as long as a round. */
const ANY_MOMENT = 150

export interface FacilityAudit {
  /** The built `process.js` that the facilities run; the same as everybody else without it. */
  readonly facilityBin?: string
  /** The built `process.js` that authority, leader and fog run; the one that this was started from without it. */
  readonly program?: string
  readonly random?: RandomSource
  readonly progress?: (line: string) => void
  /** Ends the audit, and all of its processes, before its time. */
  readonly stop?: AbortSignal
}

const planOf = (
  { configs }: AuditStudy,
  { program = OWN_PROGRAM, facilityBin = program }: FacilityAudit,
): readonly AuditedProcess[] => {
  const process = (role: AuditedProcess["role"], name: string): AuditedProcess => ({
    role,
    name,
    config: configs.get(name) as string,
    program: resolve(role === "facility" ? facilityBin : program),
  })
  return [
    process("authority", "authority"),
    process("leader", LEADER),
    process("fog", FOG),
    ...[...FACILITIES, THIRD].map((name) => process("facility", name)),
  ]
}

/** The newest attempt, if it waits for nobody but the third facility. */
const waitingForThird = async (folder: string): Promise<RoundSpec | null> => {
  const { announced, updates } = await receivedBy(folder, FOG, [...FACILITIES, THIRD])
  const newest = announced.at(-1)
  const sent = new Set(updates.filter(({ spec }) => spec === newest).map(({ facility }) => facility))
  return newest !== undefined && sent.has(MANY) && sent.has(FEW) && !sent.has(THIRD) ? newest : null
}

/**
 * Makes an attempt void after both audited facilities have sent their updates, by taking the third away, and kills one of
 * them meanwhile. They are then asked for the update once more.
 */
const voidAnAttempt = async (folder: string, processes: AuditedProcesses): Promise<void> => {
  await processes.kill(THIRD)
  let first: RoundSpec | null = null
  await processes.until(async () => {
    first = await waitingForThird(folder)
    return first !== null
  }, "an attempt waits for a facility that was killed")
  await processes.kill(MANY)
  processes.start(MANY)
  const { round, attempt } = first as unknown as RoundSpec
  await processes.until(async () => {
    const { announced } = await receivedBy(folder, FOG, FACILITIES)
    return announced.some((spec) => spec.round === round && spec.attempt > attempt)
  }, "the attempt is void and made again")
  processes.start(THIRD)
}

const disturb = async (folder: string, processes: AuditedProcesses, random: RandomSource): Promise<void> => {
  await processes.until(() => processes.rounds >= VOIDED_AFTER, `round ${VOIDED_AFTER} is closed`)
  await voidAnAttempt(folder, processes)
  for (const round of KILLED_AFTER) {
    await processes.until(() => processes.rounds >= round, `round ${round} is closed`)
    await sleep(uniformBelow(random, ANY_MOMENT))
    await processes.kill(MANY)
    processes.start(MANY)
  }
}

const ledgerOf = async (config: string): Promise<LedgerTold> => {
  const { head, studies } = await privacyLedgerOf(config)
  const [own] = studies
  return {
    head,
    updates: own?.updates.reduce((sum, { updates }) => sum + updates, 0) ?? 0,
    epsilon: own?.spent.epsilon ?? null,
  }
}

const whatWasSeen = async (folder: string, { study, patients, configs }: AuditStudy) => {
  const { updates } = await receivedBy(folder, FOG, FACILITIES)
  const seen = FACILITIES.map(
    async (name): Promise<Seen> => ({
      study,
      name,
      patients: patients.get(name) ?? [],
      updates: updates.filter(({ facility }) => facility === name),
      charges: await chargesOf(folder, name),
      ledger: await ledgerOf(configs.get(name) as string),
    }),
  )
  return (await Promise.all(seen)) as [Seen, Seen]
}

const auditIn = async (folder: string, options: FacilityAudit): Promise<Section> => {
  const { random = systemRandom, progress = () => undefined } = options
  const laidOut = await layOutAudit(folder, random)
  progress(`A study of ${ROUNDS} rounds runs in six processes, of which some are killed on purpose.`)
  const processes = await AuditedProcesses.start(folder, planOf(laidOut, options), options.stop)
  try {
    await disturb(folder, processes, random)
    await processes.ended(LEADER)
  } finally {
    await processes.close()
  }
  const [many, few] = await whatWasSeen(folder, laidOut)
  for (const seen of [many, few])
    if (seen.updates.length < ROUNDS || sentAgain(seen) === 0)
      throw new ConsiliumError(
        "cli/process-ended",
        `${seen.name} sent ${seen.updates.length} updates, ${sentAgain(seen)} of them again: too few to judge.`,
        { remedy: "Run the audit again on an idle machine." },
      )
  // without charges there is nothing that noise could be held against, and the audit has failed anyway
  const charged = [many, few].every(({ charges }) => charges.length >= ROUNDS)
  return {
    title: "The facility's process, seen from outside",
    rows: [
      ...(charged
        ? [noiseRow(many), emptyBatchRow(few), ...samplingRows(many), oneRunRow(many, laidOut.included)]
        : []),
      chargesRow([many, few]),
      onceRow([many, few]),
    ],
  }
}

/**
 * Audits the program that facilities run, as a black box: a whole study in real processes, whose every part the auditor
 * owns, with made-up patients. What is judged are the updates that the facilities' fog was sent, which under `plain` it can
 * read, against the charges in the facilities' privacy ledgers.
 *
 * Error: says of a sound build that something does not hold at most 14 times in a million audits
 * @throws {ConsiliumError} "cli/usage" if there is no such program; "cli/process-ended" if the study does not run as planned
 */
export const auditFacilityProcess = async (options: FacilityAudit = {}): Promise<Section> => {
  const { facilityBin } = options
  if (facilityBin !== undefined)
    await access(facilityBin).catch((cause) => {
      throw new ConsiliumError("cli/usage", `${resolve(facilityBin)} is not there.`, {
        remedy: "Name the built program of an installation, apps/cli/dist/process.js.",
        cause,
      })
    })
  const folder = await mkdtemp(join(tmpdir(), "consilium-audit-"))
  try {
    return await auditIn(folder, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
