import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { Command, CommanderError } from "commander"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { authorityKey } from "../../../packages/federation/test/members.js"
import {
  auditedOutcome,
  auditedStudy,
  configOf,
  firstRoster,
  keepHeads,
  keepLog,
  layOut,
} from "../../../packages/node/test/audit-study.js"
import { auditCommands } from "../src/commands/audit-command.js"

/** Runs one command line here; what it writes, or its error. */
const consilium = async (...args: readonly string[]): Promise<string> => {
  const program = new Command("consilium").exitOverride()
  let printed = ""
  const { write } = process.stdout
  const errors = { writeErr: () => undefined }
  program.configureOutput(errors)
  auditCommands(program)
  for (const command of program.commands.flatMap((parent) => [parent, ...parent.commands]))
    command.exitOverride().configureOutput(errors)
  process.stdout.write = (text) => {
    printed += String(text)
    return true
  }
  try {
    await program.parseAsync([...args], { from: "user" })
  } finally {
    process.stdout.write = write
  }
  return printed
}
const errorOf = async (...args: readonly string[]): Promise<string> => {
  try {
    await consilium(...args)
  } catch (error) {
    if (error instanceof ConsiliumError) return error.code
    if (error instanceof CommanderError) return error.message
    throw error
  }
  throw new Error("The command was to end in an error, and did not.")
}

const { log } = auditedOutcome
const authority = toHex(authorityKey)
let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium audit "))
  await layOut(folder, ["leader", "clinic-1"])
  await writeFile(configOf(folder, "clinic-1"), "records: {}\n")
  await keepHeads(folder, "clinic-1")
  await keepLog(folder, "segments", { study: auditedStudy, roster: firstRoster, log })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("consilium audit", () => {
  it("verifies a leader's folder, exports it, and verifies the export beside a facility's heads", async () => {
    const leader = configOf(folder, "leader")
    const logHead = toHex(auditedOutcome.leader.progress.log.hash)
    const modelHash = toHex(auditedOutcome.leader.progress.closed.at(-1)?.model as Uint8Array)
    expect(await consilium("audit", "verify", "--config", leader)).toBe(
      `The log holds: ${log.length} events of the study audited, 2 sums opened, each over a certified list.\n` +
        `Facilities signed it up to event ${auditedOutcome.cosigned.get("clinic-1")?.at(-1)?.seq} of ${log.length}, as the log itself says; give --heads to compare it with what they kept.\n` +
        "It goes on to the end of the study.\n" +
        "  facilities  3 at the end (roster 2)\n" +
        `  log head    ${logHead}\n` +
        `  model hash  ${modelHash}\n`,
    )
    const heads = join(folder, "clinic-1.heads")
    expect(
      await consilium("audit", "heads", "--config", configOf(folder, "clinic-1"), "--to", heads),
    ).toMatch(/: 3 co-signed heads of the study audited, up to event \d+ of the leader's log\.\n$/)
    const file = join(folder, "study.log")
    const exported = await consilium("audit", "export", "--config", leader, "--to", file)
    expect(exported).toContain(`  consilium audit verify --file ${file} --authority ${authority}\n`)
    const given = ["--file", file, "--authority", authority, "--heads", heads, configOf(folder, "clinic-1")]
    const verified = JSON.parse(await consilium("audit", "verify", ...given, "--format", "json"))
    expect(verified).toMatchObject({
      verified: true,
      events: log.length,
      headsCompared: 3,
      logHead,
      modelHash,
    })
    expect(await consilium("audit", "verify", ...given)).toContain(
      "It is the log that facilities signed: 3 heads that they kept lie on it.\n",
    )
  })

  it("wants a folder, or a file with its authority", async () => {
    expect(await errorOf("audit", "verify")).toMatch(/--config leader\.yaml, or --file/)
    expect(await errorOf("audit", "verify", "--file", "x")).toMatch(/--file and --authority go together/)
    expect(await errorOf("audit", "verify", "--config", "x", "--authority", authority)).toMatch(/go together/)
    expect(await errorOf("audit", "verify", "--config", "x", "--file", "y")).toMatch(/cannot be used with/)
    expect(await errorOf("audit", "export", "--config", "x")).toMatch(/--to/)
    expect(await errorOf("audit", "verify", "--file", join(folder, "none"), "--authority", authority)).toBe(
      "audit/no-file",
    )
  })
})
