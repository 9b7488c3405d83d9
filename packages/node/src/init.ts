import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { authorityFileText } from "./config/role-files.js"
import { type StudyFileInput, studyFileSchema, studyFileText, studyOf } from "./config/study-file.js"
import { openAuthority } from "./identity/ca.js"
import { loadOrCreateKeys } from "./identity/keys.js"
import { makeKits, saveTickets } from "./identity/kit.js"
import { AUTHORITY, checkDifferent } from "./identity/names.js"
import { openSealed } from "./roles/membership.js"
import { makePrivateFolder, writeFileAtomic } from "./store/files.js"
import { lockFolder } from "./store/lock.js"

const KIT_DAYS = 30
const DAY = 86_400_000

export interface InitPlan {
  /** A folder that does not exist yet, or is empty. */
  readonly folder: string
  readonly study: StudyFileInput
  readonly authority: { readonly host: string; readonly port: number }
  /** Text of each participant's local configuration, by name. */
  readonly local: ReadonlyMap<string, string>
}

export interface InitResult {
  readonly studyFile: string
  readonly authorityFile: string
  /** Configuration file of each participant, by name. */
  readonly configs: ReadonlyMap<string, string>
}

/**
 * Lays out a study: `study.yaml`, the authority's folder, and a kit for each participant to be handed over. No
 * participant's key is made here: each makes its own when it first starts.
 */
export const initStudy = async (plan: InitPlan): Promise<InitResult> => {
  const file = studyFileSchema.parse(plan.study)
  studyOf(file)
  checkDifferent(file.participants.map(({ name }) => name))
  const { folder, authority } = plan
  const studyFile = join(folder, "study.yaml")
  if (
    await readFile(studyFile).then(
      () => true,
      () => false,
    )
  )
    throw new ConsiliumError("config/exists", `${studyFile} is already there.`)
  try {
    await makePrivateFolder(folder)
  } catch (cause) {
    throw new ConsiliumError("cli/usage", `The folder ${folder} cannot be made.`, {
      remedy: "Name a new or an empty folder where you may write.",
      cause,
    })
  }
  const authorityFolder = join(folder, AUTHORITY)
  const dataFolder = join(authorityFolder, "data")
  await makePrivateFolder(dataFolder)
  const lock = await lockFolder(dataFolder)
  try {
    const sealed = await openSealed(dataFolder, { kind: "file", path: join(authorityFolder, "storage.key") })
    const keys = await loadOrCreateKeys(sealed)
    const ca = await openAuthority({ files: sealed, now: Date.now })
    const host = authority.host.includes(":") ? `[${authority.host}]` : authority.host
    const tickets = await makeKits({
      folder,
      study: file.name,
      authority: {
        name: AUTHORITY,
        url: `https://${host}:${authority.port}`,
        caFingerprint: ca.fingerprint,
        signingKey: keys.signingKey,
        sign: keys.sign,
      },
      participants: file.participants.map(({ name, role, parent }) => ({
        name,
        role,
        parent,
        local: plan.local.get(name) ?? "",
      })),
      expires: Date.now() + KIT_DAYS * DAY,
    })
    await saveTickets(sealed, tickets)
    const authorityFile = join(authorityFolder, "authority.yaml")
    await writeFileAtomic(studyFile, utf8(studyFileText(plan.study)))
    await writeFileAtomic(
      authorityFile,
      utf8(authorityFileText({ study: "../study.yaml", listen: authority })),
    )
    return {
      studyFile,
      authorityFile,
      configs: new Map(
        file.participants.map(({ name, role }) => [name, join(folder, name, "local", `${role}.yaml`)]),
      ),
    }
  } finally {
    await lock.close()
  }
}
