import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe } from "vitest"
import { memoryStores } from "../src/store/memory-stores.js"
import { openSegmentStores } from "../src/store/segment-stores.js"
import { temporaryFolder } from "./store-children.js"
import { storeContract } from "./store-contract.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("stores")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

describe("stores in memory", () => {
  storeContract({ open: async () => memoryStores(), keeps: false })
})

describe("stores in segment files", () => {
  storeContract({ open: (name) => openSegmentStores(join(folder, name)), keeps: true })
})

describe("stores in segment files that are short", () => {
  storeContract({
    open: async (name) => {
      const path = join(folder, "short", name)
      await mkdir(path, { recursive: true })
      return openSegmentStores(path, { segmentBytes: 500 })
    },
    keeps: true,
    large: 100_000,
  })
})
