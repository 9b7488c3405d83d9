import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { LogEntry } from "@consilium/federation/log"
import type { Protection } from "@consilium/federation/study"
import { callAdmin } from "@consilium/node/admin/client"
import { auditFolder } from "@consilium/node/audit-folder"
import { parseAddress } from "@consilium/node/identity/names"
import type { Outcome } from "@consilium/node/roles/outcome"
import { LOOPBACK, reserveAddress } from "@consilium/node/transport/address"
import { z } from "zod"
import { roleLog } from "../security/role-log.js"
import { StudyRun } from "../security/study-run.js"

/** The fixture: 4 facilities, of which 3 open a sum, and 2 rounds. */
const PLAN = { facilities: 4, rounds: 2, seed: 7 } as const
export const FACILITIES = ["clinic-1", "hospital-1", "hospital-2", "research-centre-1"] as const
export const WITHOUT_ONE = FACILITIES.filter((name) => name !== "hospital-1")
/** Waits for an answer in its studies until it is allowed, and with it the study. */
export const HOLDER = "clinic-1"

/** Deadlines in seconds that can be waited for in a test. */
export const SHORT = { collect: 6, answer: 3 } as const

export interface Layout {
  readonly fogs?: number
  readonly rounds?: number
  readonly protection?: Protection
  readonly deadlines?: { readonly collect: number; readonly answer: number }
  /** Whether one facility asks a person before it trains, so that the study stands still until `release`. */
  readonly held?: boolean
  /** Port that the API tries first. */
  readonly apiPort?: number
}

export const edit = (path: string, change: (text: string) => string): void => {
  const before = readFileSync(path, "utf8")
  const after = change(before)
  if (after === before) throw new Error(`Nothing was changed in ${path}.`)
  writeFileSync(path, after)
}

/** Any free port, in a list of ports. */
const ANY = "- 0\n"

/** Lays out a study whose leader keeps files, which start in no time, and listens where nobody else does. */
export const layOutStudy = async (layout: Layout = {}): Promise<StudyRun> => {
  const { fogs = 1, rounds = PLAN.rounds, protection = "shamir", deadlines, held = false, apiPort } = layout
  const run = await StudyRun.layOut({ ...PLAN, fogs, rounds, protection })
  edit(join(run.folder, "leader/local/leader.yaml"), (text) =>
    text.replace(/^store: pglite$/m, "store: segments").replaceAll(/^ *- (8443|8001|8002)\n/gm, ""),
  )
  if (apiPort !== undefined)
    edit(join(run.folder, "leader/local/leader.yaml"), (text) => {
      const at = text.indexOf(ANY, text.indexOf("api:"))
      return `${text.slice(0, at)}- ${apiPort}\n      ${text.slice(at)}`
    })
  if (deadlines !== undefined)
    edit(join(run.folder, "study.yaml"), (text) =>
      text
        .replace(/collect: \d+/, `collect: ${deadlines.collect}`)
        .replace(/answer: \d+/, `answer: ${deadlines.answer}`),
    )
  if (held)
    edit(join(run.folder, HOLDER, "local/facility.yaml"), (text) =>
      text.replace("approval: auto", "approval: ask"),
    )
  return run
}

const freePort = async (): Promise<number> => {
  const reserved = await reserveAddress(LOOPBACK, [0])
  await reserved.close()
  return parseAddress(reserved.address).port
}

/** Makes a parent listen to its children at a port that is known before it starts; gives the port. */
export const knownPort = async (run: StudyRun, name: string): Promise<number> => {
  const port = await freePort()
  const file = name === "leader" ? "leader.yaml" : "fog.yaml"
  edit(join(run.folder, name, "local", file), (text) => text.replace(ANY, `- ${port}\n`))
  return port
}

/** The same for the leader's health and metrics. */
export const knownHealthPort = async (run: StudyRun): Promise<number> => {
  const port = await freePort()
  edit(join(run.folder, "leader/local/leader.yaml"), (text) => {
    const at = text.indexOf(ANY, text.indexOf("health:"))
    return `${text.slice(0, at)}- ${port}\n${text.slice(at + ANY.length)}`
  })
  return port
}

/** Where the leader's API is, once it says so. */
export const apiUrl = async (run: StudyRun): Promise<string> => {
  await run.said("leader", "the page and the API are at ")
  return (/http:\/\/\S+/.exec(run.output("leader", "log")) as RegExpExecArray)[0]
}

const dataFolder = (run: StudyRun, name: string): string => join(run.folder, name, "data")

const waiting = z.object({ studies: z.array(z.object({ name: z.string(), waitsForApproval: z.boolean() })) })

/** Resolves when the study stands still in its first round: all have sent but the one that asks a person. */
export const standsStill = async (run: StudyRun, senders: number): Promise<void> => {
  await run.until(() => logged(run, "leader", "submit") >= senders, `${senders} facilities have submitted`)
}

/** Lets a facility that asks take part in a study. */
export const release = async (run: StudyRun, study = "simulated", holder: string = HOLDER): Promise<void> => {
  const folder = dataFolder(run, holder)
  await run.until(
    () =>
      callAdmin(folder, "status", {}, { result: waiting }).then(
        ({ studies }) => studies.some(({ name, waitsForApproval }) => name === study && waitsForApproval),
        () => false,
      ),
    `${holder} asks a person`,
  )
  await callAdmin(folder, "approve", { study, by: "a person" })
}

/** What a role has logged so far. */
export const logOf = (run: StudyRun, name: string): readonly LogEntry[] => {
  try {
    return roleLog(dataFolder(run, name))
  } catch {
    // not there yet, or in the middle of a write
    return []
  }
}

export const logged = (run: StudyRun, name: string, type: string): number =>
  logOf(run, name).filter(({ header }) => header.type === type).length

/** How a study ended whose log leads to its model. */
export const ended = async (run: StudyRun): Promise<Outcome> => {
  const outcome = await run.outcome()
  const audit = await auditFolder(join(run.folder, "leader/local/leader.yaml"))
  if (audit.modelHash !== outcome.modelHash)
    throw new Error("The log leads to another model than the outcome says.")
  return outcome
}
