import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { afterAll, beforeAll, expect, it } from "vitest"
import { authorityKey } from "../../../federation/test/members.js"
import { exportLog } from "../../src/audit-export.js"
import { auditFile } from "../../src/audit-file.js"
import { auditFolder } from "../../src/audit-folder.js"
import { auditedOutcome, auditedStudy, configOf, firstRoster, keepLog, layOut } from "../audit-study.js"
import { temporaryFolder } from "../store-children.js"

let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("audit-pglite")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

it("a leader's log in a database is audited and exported, to the same bytes as from segment files", async () => {
  const files: Uint8Array[] = []
  for (const kind of ["pglite", "segments"] as const) {
    const folder = join(root, kind)
    await layOut(folder, ["leader"])
    await keepLog(folder, kind, { study: auditedStudy, roster: firstRoster, log: auditedOutcome.log })
    const leader = configOf(folder, "leader")
    expect(await auditFolder(leader)).toMatchObject({
      events: auditedOutcome.log.length,
      certifiedRounds: 2,
      ended: true,
    })
    const file = join(folder, "study.log")
    await exportLog(leader, file)
    files.push(new Uint8Array(await readFile(file)))
    expect(await auditFile(file, { authority: toHex(authorityKey) })).toMatchObject({ ended: true })
  }
  expect(files[0]).toEqual(files[1])
})
