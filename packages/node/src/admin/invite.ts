import { dirname, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { authorityFileSchema } from "../config/role-files.js"
import { readConfig } from "../config/yaml-file.js"
import { type Invited, makeInvitation } from "../identity/invitation.js"
import { openAuthorityFolder } from "../roles/authority.js"
import { INVITE, type InviteArguments, invitedSchema, inviteSchema } from "./authority-commands.js"
import { callAdmin } from "./client.js"

const STARTING_MS = 5_000
const PAUSE_MS = 100

/**
 * Invites a participant: the running authority makes its kit, or, where none runs, this process does in the authority's
 * locked folder. A relative `folder` is one of this process.
 * @throws {ConsiliumError} "identity/name-taken", "identity/bad-invitation", "identity/kit-exists", "store/locked"
 */
export const inviteParticipant = async (configPath: string, args: InviteArguments): Promise<Invited> => {
  const parsed = inviteSchema.safeParse({ ...args, folder: resolve(args.folder) })
  if (!parsed.success)
    throw new ConsiliumError(
      "identity/bad-invitation",
      `An invitation cannot be made: ${parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}.`,
    )
  const config = await readConfig(authorityFileSchema, configPath)
  const folder = resolve(dirname(resolve(configPath)), config.data_folder)
  for (const until = performance.now() + STARTING_MS; ; await sleep(PAUSE_MS)) {
    try {
      return await callAdmin(folder, INVITE, parsed.data, { result: invitedSchema })
    } catch (error) {
      if (!isConsiliumError(error, "admin/not-running")) throw error
    }
    try {
      const authority = await openAuthorityFolder(configPath, () => undefined)
      try {
        return await makeInvitation(authority.host(config.listen.port), parsed.data)
      } finally {
        await authority.close()
      }
    } catch (error) {
      // An authority that is starting holds the folder before it can be asked.
      if (!isConsiliumError(error, "store/locked") || performance.now() > until) throw error
    }
  }
}
