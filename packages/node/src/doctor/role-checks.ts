import { X509Certificate } from "node:crypto"
import { lstat, readdir } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { isoTime, timestamp } from "@consilium/base/units"
import { studyFileSchema, studyOf } from "../config/study-file.js"
import { readConfig } from "../config/yaml-file.js"
import { listStudies } from "../identity/enrol-client.js"
import { certificateWarnings } from "../identity/expiry.js"
import { checkValidity } from "../identity/tls.js"
import { readRecords } from "../local-records.js"
import { openAuthorityFolder } from "../roles/authority.js"
import { type Check, type Finding, notChecked, note, passed } from "./finding.js"
import { keysCheck } from "./key-checks.js"
import { diskRoom, isThere, portFree } from "./machine-checks.js"
import { ledgerCheck } from "./privacy-ledger.js"
import { reach } from "./reach.js"
import { type RoleUnderTest, roleFile } from "./role-under-test.js"
import type { StoppedMember } from "./stopped-member.js"
import { checkLogs } from "./stored-studies.js"

const DAY = 86_400_000
const counted = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`

/** A check that needs a stopped participant's opened folder. */
const withMember = (
  under: RoleUnderTest,
  id: string,
  run: (member: StoppedMember) => Promise<Finding>,
): Check => ({
  id,
  async run() {
    const member = await under.member()
    return typeof member === "string" ? notChecked(member) : run(member)
  },
})

const configuration = (under: RoleUnderTest): Check => ({
  id: "configuration",
  async run() {
    const { role, name } = await under.place()
    await under.config()
    return passed(`${under.configPath} is a file of the ${role} ${name}, and every key of it is known.`)
  },
})

const kitSigned = (under: RoleUnderTest): Check => ({
  id: "kit",
  async run() {
    const { name, authorityUrl, expires } = await under.kit()
    const until = isoTime(timestamp(expires))
    const used = typeof (await under.member().catch(() => "")) !== "string"
    if (!used && expires < Date.now() && (await under.folder()).state !== "running")
      return note(
        `The kit of ${name} is signed, and was good for enrolling until ${until}.`,
        "Ask the authority for a new invitation, unless it has enrolled already.",
      )
    return passed(`The kit of ${name} is signed; its authority is ${authorityUrl}.`)
  },
})

const dataFolder = (under: RoleUnderTest): Check => ({
  id: "data-folder",
  async run() {
    const folder = await under.folder()
    const { dataFolder: path } = await under.place()
    if (folder.state === "absent") return passed(`${path} is not there yet: the first start makes it.`)
    if (folder.state === "stopped") return passed(`${path} is in nobody's use.`)
    return (await under.answers())
      ? passed(`It runs. ${folder.says}`)
      : note(`It runs, and does not take commands yet. ${folder.says}`, "Wait until it has enrolled.")
  },
})

const storageKey = (under: RoleUnderTest): Check => ({
  id: "storage-key",
  async run() {
    const source = await under.storageKey()
    if (source.kind === "systemd-credential")
      return passed(`The storage key comes from systemd's credential ${source.name}.`)
    const { dataFolder: folder } = await under.place()
    const what = source.kind === "file" ? "key" : "passphrase"
    const stat = await lstat(source.path).catch(() => null)
    if (stat === null) {
      if (await isThere(join(folder, "sealed", "key-check.sealed")))
        throw new ConsiliumError(
          "store/key-missing",
          `The folder ${folder} is sealed, but its ${what} file ${source.path} is not there.`,
        )
      return source.kind === "file"
        ? passed(`${source.path} is not there yet: the first start makes it.`)
        : note(
            `${source.path} is not there.`,
            "Write a passphrase into it, one line, before the first start.",
          )
    }
    if (process.platform !== "win32" && (stat.mode & 0o077) !== 0)
      throw new ConsiliumError(
        "store/open-permissions",
        `The ${what} file ${source.path} has mode ${(stat.mode & 0o777).toString(8)}, so others can get at it.`,
      )
    return passed(`The storage key comes from a ${what} file for its owner only, ${source.path}.`)
  },
})

/** Folders and files of the data folder that others than its owner can get at. */
const fileModes = (under: RoleUnderTest): Check => ({
  id: "file-modes",
  async run() {
    const { dataFolder: folder } = await under.place()
    if (process.platform === "win32") return notChecked("This system has no file modes.")
    if (!(await isThere(folder))) return notChecked("It has never started.")
    const sealed = join(folder, "sealed")
    const files = await readdir(sealed).catch(() => [])
    for (const path of [
      folder,
      ...(files.length > 0 ? [sealed] : []),
      ...files.map((f) => join(sealed, f)),
    ]) {
      const mode = (await lstat(path).catch(() => null))?.mode ?? 0
      if ((mode & 0o077) !== 0)
        throw new ConsiliumError(
          "store/open-permissions",
          `${path} has mode ${(mode & 0o777).toString(8)}, so others can get at it.`,
          { remedy: `Run chmod go= on it, and find out who changed it.` },
        )
    }
    return passed(`The data folder and its ${files.length} sealed files are for their owner only.`)
  },
})

const certificate = (under: RoleUnderTest): Check =>
  withMember(under, "certificate", async ({ certificates }) => {
    const own = new X509Certificate(certificates.certificate)
    checkValidity(own, Date.now())
    const warning = certificateWarnings(own, Date.now()).at(-1)
    const days = Math.floor((Date.parse(own.validTo) - Date.now()) / DAY)
    return warning === undefined
      ? passed(`The certificate is good for ${days} more days.`)
      : note(warning.message, "Start the role while the authority runs: it renews its certificate.")
  })

const roster = (under: RoleUnderTest): Check =>
  withMember(under, "roster", async ({ kit, keys, directory }) => {
    if (directory === null) return notChecked("The authority has signed no roster yet: others have to enrol.")
    const me = directory.named(kit.name)
    if (!equalBytes(me.signingKey, keys.signingKey) || !equalBytes(me.sealingKey, keys.sealingKey))
      throw new ConsiliumError(
        "identity/bad-roster",
        `The roster names other keys for ${kit.name} than its own.`,
      )
    const { facilities, fogs } = directory
    return passed(
      `The authority's roster names ${kit.name} with its own keys, among ${counted(facilities.length, "facility", "facilities")} and ${counted(fogs.length, "fog", "fogs")}.`,
    )
  })

const parent = (under: RoleUnderTest): Check =>
  withMember(under, "parent", async ({ kit, identity, directory }) => {
    if (directory === null) return notChecked("The authority has signed no roster yet.")
    const me = directory.named(kit.name)
    if (me.parent === null) return passed("A leader has no parent.")
    const above = directory.get(me.parent)
    await reach(above, identity)
    return passed(`${above.name} answers at ${above.address} over mutual TLS.`)
  })

const authority = (under: RoleUnderTest, patienceMs: number): Check =>
  withMember(under, "authority", async ({ kit, identity }) => {
    const studies = await listStudies(kit, identity, { now: Date.now, patienceMs })
    return passed(
      `The authority answers at ${kit.authorityUrl} and lists ${counted(studies.length, "study", "studies")} for ${kit.name}.`,
    )
  })

const records = (under: RoleUnderTest): Check => ({
  id: "records",
  async run() {
    const config = await roleFile(under, "facility")
    const { name } = await under.place()
    const { train, holdOut, warnings } = await readRecords(name, under.configPath, config)
    const says = `The records can be read: ${train.labels.length} rows to train on, ${holdOut.labels.length} held out`
    return warnings.length === 0
      ? passed(`${says}.`)
      : note(
          `${says}; ${warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`}.`,
          "Start the facility: it tells them.",
        )
  },
})

const logs = (under: RoleUnderTest): Check => withMember(under, "log", (member) => checkLogs(under, member))

const ports = async (under: RoleUnderTest): Promise<readonly Check[]> => {
  const { role } = await under.place()
  if ((await under.folder()).state === "running") return []
  const listening = (hosts: readonly string[], port: number, only: boolean): Check =>
    portFree(port, `where the ${role} listens`, { id: `listen-${port}`, hosts, only })
  if (role === "authority") {
    const { listen } = await roleFile(under, "authority")
    return listen.port === 0 ? [] : [listening([listen.host], listen.port, true)]
  }
  if (role !== "leader" && role !== "fog") return []
  const { listen } = await roleFile(under, role)
  const others = new Set(listen.ports).size > 1
  return listen.ports.filter((port) => port !== 0).map((port) => listening(listen.hosts, port, !others))
}

const authorityLog = (under: RoleUnderTest): Check => ({
  id: "log",
  async run() {
    const { state } = await under.folder()
    if (state === "running")
      return notChecked("It runs, and has its folder to itself; stop it to check this.")
    if (state === "absent") return notChecked("It has never started.")
    // it locks the folder itself
    await under.close()
    const opened = await openAuthorityFolder(under.configPath, () => undefined)
    try {
      const { registry } = opened
      return passed(
        `Its log and keys open: ${registry.members().length} of ${opened.expected} participants have enrolled; ${counted(registry.studies().length, "study was", "studies were")} begun.`,
      )
    } finally {
      await opened.close()
    }
  },
})

const studyFile = (under: RoleUnderTest): Check => ({
  id: "study-file",
  async run() {
    const { study } = await roleFile(under, "authority")
    const path = resolve(dirname(resolve(under.configPath)), study)
    const file = await readConfig(studyFileSchema, path)
    studyOf(file)
    return passed(`${path} describes the study ${file.name} of ${file.participants.length} participants.`)
  },
})

export interface RoleCheckOptions {
  /** How long to try to reach the authority. */
  readonly patienceMs?: number
}

/**
 * What can be said of a role by its configuration file. Whoever runs the checks closes what they opened.
 * @throws {ConsiliumError} never: a file that cannot be read is the first check's problem
 */
export const roleChecks = async (
  under: RoleUnderTest,
  options: RoleCheckOptions = {},
): Promise<readonly Check[]> => {
  const { patienceMs = 3_000 } = options
  const place = await under.place().catch(() => null)
  const first = configuration(under)
  if (place === null) return [first]
  const isSound = await under.config().then(
    () => true,
    () => false,
  )
  if (!isSound) return place.role === "authority" ? [first] : [first, kitSigned(under)]
  const folder = [dataFolder(under), storageKey(under), fileModes(under)]
  const room = diskRoom("data-disk", place.dataFolder)
  const listening = await ports(under).catch(() => [])
  if (place.role === "authority")
    return [first, studyFile(under), ...folder, room, ...listening, authorityLog(under)]
  return [
    first,
    kitSigned(under),
    ...folder,
    room,
    ...listening,
    certificate(under),
    roster(under),
    authority(under, patienceMs),
    parent(under),
    ...(place.role === "facility" ? [records(under), ledgerCheck(under)] : []),
    ...(place.role === "fog" ? [] : [keysCheck(under)]),
    logs(under),
  ]
}
