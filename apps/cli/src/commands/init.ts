import { resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import { privacyConfigSchema, privacyTerms, withPrivacyTerms } from "@consilium/node/config/privacy-config"
import { facilityFileText, fogFileText, leaderFileText } from "@consilium/node/config/role-files"
import { studyFileSchema } from "@consilium/node/config/study-file"
import { readConfig } from "@consilium/node/config/yaml-file"
import { parseAddress } from "@consilium/node/identity/names"
import { initStudy } from "@consilium/node/init"
import { HEART, studyOn } from "../demo/studies.js"

interface InitArguments {
  readonly out: string
  readonly authority: string
  readonly facilities: string
  readonly fogs: string
  readonly name: string
  readonly rounds: number
  readonly privacyConfig?: string
  readonly format: "text" | "json"
}

const names = (text: string): readonly string[] => text.split(",").map((name) => name.trim())

/** Lays out a study in a folder, with sample configuration to be edited by each participant. */
export const init = async (options: InitArguments): Promise<void> => {
  const facilities = names(options.facilities)
  const fogs = options.fogs.trim() === "0" ? [] : names(options.fogs)
  if (facilities.length < 3)
    throw new ConsiliumError(
      "cli/usage",
      `${facilities.length} facilities were named; a sum is opened over 3 or more.`,
      {
        remedy: "Name at least three facilities, comma-separated.",
      },
    )
  const local = new Map<string, string>([["leader", leaderFileText({ listen: { ports: [8443, 0] } })]])
  for (const fog of fogs) local.set(fog, fogFileText({}))
  for (const facility of facilities)
    local.set(facility, facilityFileText({ records: { format: "heart-csv", file: "heart.csv" }, policy: {} }))
  const terms =
    options.privacyConfig === undefined
      ? null
      : privacyTerms(await readConfig(privacyConfigSchema, options.privacyConfig))
  const own = studyOn(HEART, {
    name: options.name,
    nonce: toHex(systemRandom.bytes(32)),
    seed: null,
    rounds: options.rounds,
    facilities,
    fogs,
    protection: "ckks",
    synthetic: false,
  })
  const { studyFile, authorityFile, configs } = await initStudy({
    folder: resolve(options.out),
    authority: parseAddress(options.authority),
    local,
    study: terms === null ? own : withPrivacyTerms(studyFileSchema.parse(own), terms),
  })
  const notes = terms?.notes ?? []
  const result = {
    ...(notes.length === 0 ? {} : { notes }),
    study: studyFile,
    authority: authorityFile,
    participants: Object.fromEntries(configs),
  }
  process.stdout.write(
    options.format === "json"
      ? `${JSON.stringify(result)}\n`
      : `${notes.map((note) => `Note: ${note}\n`).join("")}The study is laid out.\n  study      ${studyFile}\n  authority  consilium authority start --config ${authorityFile}\n` +
          "Hand each participant its folder (kit/ as it is, local/ to edit) over a channel you trust:\n" +
          [...configs].map(([name, path]) => `  ${name.padEnd(10)} ${path}`).join("\n") +
          "\n",
  )
}
