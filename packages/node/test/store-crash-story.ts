import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { emptyHead } from "@consilium/federation/log"
import { openSegmentStores } from "../src/store/segment-stores.js"
import type { StudyStore } from "../src/store/study-store.js"
import { contents, digestOf, events } from "./store-contract.js"
import { injectFaults } from "./store-faults.js"

/** Segments so short that the story begins new ones. */
export const SEGMENT_BYTES = 900

export interface Told {
  /** What the store held after each part of the story; the first is an empty store. */
  readonly states: { readonly journal: readonly string[]; readonly log: readonly string[] }[]
  /** How many parts were acknowledged. */
  done: number
}

/**
 * A story of a store: steps with records, with events, with both, checkpoints, reopening. What is said at each part
 * depends on its place only, so that a run that was cut off can be compared with one that was not.
 */
export const tellStory = async (folder: string, told: Told, length: "short" | "long"): Promise<void> => {
  const digest = digestOf("story")
  let head = emptyHead(digest)
  let journal: string[] = []
  const log: string[] = []
  let part = 0
  let stores = await openSegmentStores(folder, { segmentBytes: SEGMENT_BYTES })
  let store = await stores.study(digest)
  const tell = async (
    after: { journal: string[]; log: string[] },
    act: () => Promise<void>,
  ): Promise<void> => {
    told.states[++part] = { journal: [...after.journal], log: [...after.log] }
    await act()
    told.done = part
  }
  const commit = async (records: number, count: number): Promise<void> => {
    const said = Array.from({ length: records }, (_, i) => `record ${part}.${i} `.repeat(10))
    const bodies = Array.from({ length: count }, (_, i) => `event ${part}.${i}`)
    const made = events(head, bodies.map(utf8))
    journal.push(...said)
    log.push(...bodies)
    head = made.head
    await tell({ journal, log }, () => store.commit({ journal: said.map(utf8), entries: made.entries }))
  }
  const checkpoint = async (): Promise<void> => {
    journal = [`state ${part}`]
    await tell({ journal, log }, () => store.checkpoint(journal.map(utf8)))
  }
  if (length === "short") {
    await commit(2, 1)
    await checkpoint()
    await commit(1, 1)
    await stores.close()
    return
  }
  await commit(1, 2)
  await commit(2, 0)
  await commit(0, 1)
  await commit(1, 3)
  await checkpoint()
  await commit(3, 2)
  await stores.close()
  stores = await openSegmentStores(folder, { segmentBytes: SEGMENT_BYTES })
  store = await stores.study(digest)
  await commit(1, 1)
  await checkpoint()
  await commit(1, 1)
  await stores.close()
}

export const newStory = (): Told => ({ states: [{ journal: [], log: [] }], done: 0 })

/**
 * Tells the story until its operation `at`, and says what is wrong with what is left: after a crash of the process, and
 * after a power cut that kept only what was synced, or all names but only synced contents.
 */
export const crash = async (
  folder: string,
  plan: { readonly at: number; readonly torn: boolean; readonly length: "short" | "long" },
): Promise<{ readonly over: boolean; readonly wrong: readonly string[] }> => {
  const path = join(folder, "live")
  await mkdir(path, { recursive: true })
  const told = newStory()
  const faults = await injectFaults({ folder: path, at: plan.at, torn: plan.torn })
  await Promise.race([tellStory(path, told, plan.length), faults.stopped])
  await faults.end()
  await faults.powerCut(join(folder, "cut"), "synced")
  await faults.powerCut(join(folder, "names"), "all")
  const wrong: string[] = []
  for (const how of ["live", "cut", "names"]) {
    const verdict = await judge(join(folder, how), told).catch((error) => String(error))
    if (verdict !== null) wrong.push(`${how}, before ${faults.operations[plan.at]} ${plan.at}: ${verdict}`)
  }
  return { over: faults.operations.length <= plan.at, wrong }
}

/** Opens what a crash left and uses it; null if it holds the story up to the last acknowledged part, or one more. */
export const judge = async (folder: string, told: Told): Promise<string | null> => {
  const digest = digestOf("story")
  const open = async (): Promise<{ store: StudyStore; close(): Promise<void> }> => {
    const stores = await openSegmentStores(folder, { segmentBytes: SEGMENT_BYTES })
    return { store: await stores.study(digest), close: () => stores.close() }
  }
  const first = await open()
  const found = await contents(first.store)
  const allowed = told.states.slice(told.done, told.done + 2).map((state) => JSON.stringify(state))
  if (!allowed.includes(JSON.stringify(found)))
    return `after ${told.done} parts it holds ${JSON.stringify(found)}`
  let head = emptyHead(digest)
  for await (const entry of first.store.entries())
    head = events({ seq: entry.header.seq - 1, hash: entry.header.previous as typeof head.hash }, [
      entry.body,
    ]).head
  await first.store.commit({ journal: [utf8("more")], entries: events(head, [utf8("more")]).entries })
  await first.close()
  const second = await open()
  const more = await contents(second.store)
  await second.close()
  const expected = { journal: [...found.journal, "more"], log: [...found.log, "more"] }
  return JSON.stringify(more) === JSON.stringify(expected) ? null : `later it holds ${JSON.stringify(more)}`
}
