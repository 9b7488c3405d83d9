import { writeSync } from "node:fs"
import { join } from "node:path"
import { isConsiliumError } from "@consilium/base/errors"
import { newSecretKey } from "@consilium/base/random"
import { SealedFiles } from "../../src/store/sealed.js"
import { openSegmentLog } from "../../src/store/segment-log.js"

// Fills a disk that has room for one transaction of 40,000 bytes but not for two, and says what happened.
const folder = process.argv[2] as string
const log = await openSegmentLog(join(folder, "log"), { segmentBytes: 1_000_000 })
const code = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work()
    return "ok"
  } catch (error) {
    return isConsiliumError(error) ? error.code : String(error)
  }
}
const seen = [
  await code(() => log.append([new Uint8Array(40_000).fill(1)])),
  await code(() => log.append([new Uint8Array(40_000).fill(2)])),
  await code(() => log.append([new Uint8Array(40_000).fill(3), new Uint8Array(1)])),
  await code(() => log.append([new Uint8Array(500).fill(4)])),
]
const sealed = await SealedFiles.open(join(folder, "sealed"), newSecretKey())
await sealed.put("kept", new Uint8Array(100).fill(9))
seen.push(await code(() => sealed.put("kept", new Uint8Array(80_000))))
const kept = (await sealed.get("kept"))?.length
await log.close()
const again = await openSegmentLog(join(folder, "log"))
const records = (await again.readAll()).map((record) => `${record.length}:${record[0]}`)
writeSync(1, `result ${JSON.stringify({ seen, kept, records, torn: again.torn })}\n`)
