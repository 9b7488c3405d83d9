import { writeSync } from "node:fs"
import { z } from "zod"
import { adminCommand, startAdmin } from "../../src/admin/server.js"

// Opens the admin socket of the folder it is given, and stays.
await startAdmin(process.argv[2] as string, { pid: adminCommand(z.strictObject({}), () => process.pid) })
writeSync(1, "ready\n")
setInterval(() => undefined, 1000)
