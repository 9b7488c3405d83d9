import { readFile } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Milliseconds } from "@consilium/base/units"
import { startAdmin } from "../admin/server.js"
import type { ApiFile } from "../api/ports.js"
import {
  facilityFileSchema,
  fogFileSchema,
  leaderFileSchema,
  policyOf,
  storageKeyOf,
} from "../config/role-files.js"
import { readConfig } from "../config/yaml-file.js"
import { askToLeave } from "../identity/enrol-client.js"
import { openSegmentStores } from "../store/segment-stores.js"
import type { Stores } from "../store/study-store.js"
import { tlsEdges } from "../transport/tls-edges.js"
import { joinStudy, type Membership } from "./membership.js"
import type { Outcome } from "./outcome.js"
import type { RoleOptions } from "./role-options.js"
import { studiesFolder, studyFolder } from "./roster-shelf.js"
import type { RunnerOptions } from "./study-runner.js"

export interface StartOptions {
  readonly configPath: string
  /** How long to wait for the authority and the others. */
  readonly patience: Milliseconds
  readonly narrate: (line: string) => void
  /** Ends the role in good order. */
  readonly stop: AbortSignal
  readonly probe?: RunnerOptions["probe"]
}

export interface LeaderStartOptions extends StartOptions {
  /** Folder of the built page; null serves none. */
  readonly page: string | null
}

/** Runs a member with its stores open, and gives folder and stores free whatever happens. */
const asMember = async <T>(
  membership: Membership,
  open: () => Promise<Stores>,
  run: (stores: Stores) => Promise<T>,
): Promise<T> => {
  try {
    const stores = await open()
    try {
      return await run(stores)
    } finally {
      await stores.close()
    }
  } finally {
    await membership.address?.close()
    await membership.leave()
  }
}

/** What surrounds a role that has a process of its own: the network, and its people's commands. */
const outside = (membership: Membership): Pick<RoleOptions, "edges" | "admin"> => ({
  edges: tlsEdges(membership),
  admin: (commands) => startAdmin(membership.folder, commands),
})

// a process loads what its own role needs: it starts in half the time and memory
export const startAuthority = async (options: StartOptions): Promise<void> => {
  const { runAuthority } = await import("./authority.js")
  return runAuthority(options.configPath, options.narrate, options.stop)
}

const apiTls = async ({ tls }: ApiFile, configPath: string) => {
  if (tls === null) return null
  const read = async (file: string): Promise<string> => {
    const path = resolve(dirname(resolve(configPath)), file)
    return readFile(path, "utf8").catch((cause) => {
      throw new ConsiliumError("config/unreadable", `The file ${path} cannot be read.`, { cause })
    })
  }
  return { key: await read(tls.key_file), cert: await read(tls.certificate_file) }
}

export const startLeader = async (options: LeaderStartOptions): Promise<readonly Outcome[]> => {
  const { runLeader } = await import("./leader.js")
  const { authorityDesk } = await import("./leader-authority.js")
  const { leaderOutside } = await import("./leader-outside.js")
  const { writeOutcome } = await import("./outcome.js")
  const { openLeaderStores } = await import("../store/leader-stores.js")
  const config = await readConfig(leaderFileSchema, options.configPath)
  const tls = await apiTls(config.api, options.configPath)
  const membership = await joinStudy({
    ...options,
    role: "leader",
    dataFolder: config.data_folder,
    storageKey: storageKeyOf(config.storage_key, options.configPath),
    listen: config.listen,
  })
  return asMember(
    membership,
    () => openLeaderStores(membership.folder, config.store),
    (stores) =>
      runLeader({
        ...options,
        ...outside(membership),
        membership,
        stores,
        authority: authorityDesk(membership),
        stay: config.inference.offer !== "none" && config.inference.stay,
        open: leaderOutside({
          ...options,
          api: config.api,
          tls,
          inference: config.inference,
          askingFolder: join(membership.folder, "asking"),
        }),
        keep: (study, outcome, model) =>
          writeOutcome(studyFolder(membership.folder, toHex(study)), outcome, model),
      }),
  )
}

export const startFog = async (options: StartOptions): Promise<void> => {
  const { runFog } = await import("./fog.js")
  const config = await readConfig(fogFileSchema, options.configPath)
  const membership = await joinStudy({
    ...options,
    role: "fog",
    dataFolder: config.data_folder,
    storageKey: storageKeyOf(config.storage_key, options.configPath),
    listen: config.listen,
  })
  return asMember(
    membership,
    () => openSegmentStores(studiesFolder(membership.folder)),
    (stores) => runFog({ ...options, ...outside(membership), membership, stores }),
  )
}

/** Reads the records first: a facility whose records cannot be used says so before it enrols. */
export const startFacility = async (options: StartOptions): Promise<void> => {
  const { runFacility } = await import("./facility.js")
  const { readRecords } = await import("../local-records.js")
  const config = await readConfig(facilityFileSchema, options.configPath)
  const name = basename(dirname(dirname(resolve(options.configPath))))
  const records = await readRecords(name, options.configPath, config)
  for (const warning of records.warnings) options.narrate(`records: ${warning}`)
  const membership = await joinStudy({
    ...options,
    role: "facility",
    dataFolder: config.data_folder,
    storageKey: storageKeyOf(config.storage_key, options.configPath),
    listen: null,
  })
  return asMember(
    membership,
    () => openSegmentStores(studiesFolder(membership.folder)),
    (stores) =>
      runFacility({
        ...options,
        ...outside(membership),
        membership,
        stores,
        records,
        policy: policyOf(config),
        leave: () =>
          askToLeave(membership.kit, membership.identity, membership.keys, {
            now: Date.now,
            patienceMs: 20_000,
          }),
      }),
  )
}
