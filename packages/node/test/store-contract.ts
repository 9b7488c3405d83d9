import { decode, encode } from "@consilium/base/encoding"
import { isConsiliumError } from "@consilium/base/errors"
import { type Digest, sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { emptyHead, type LogEntry, type LogHead, logEntryCodec, nextHeader } from "@consilium/federation/log"
import { expect, it } from "vitest"
import type { Stores, StudyStore } from "../src/store/study-store.js"

export const digestOf = (name: string): Digest => sha256(utf8(name))

/** Events that continue a log; what they say follows from their numbers. */
export const events = (
  from: LogHead,
  bodies: readonly Uint8Array[],
): { readonly entries: LogEntry[]; readonly head: LogHead } => {
  const entries: LogEntry[] = []
  let head = from
  for (const body of bodies) {
    const next = nextHeader(head, {
      at: 1_700_000_000_000 + head.seq,
      actor: new Uint8Array(16).fill(head.seq + 1),
      type: `event-${head.seq + 1}`,
      body,
    })
    head = next.head
    entries.push({ header: next.header, body, signature: new Uint8Array(64).fill(head.seq) })
  }
  return { entries, head }
}

export const readAll = async <T>(records: AsyncIterable<T>): Promise<T[]> => {
  const out: T[] = []
  for await (const record of records) out.push(record)
  return out
}

/** The journal's records and the log's bodies as text. */
export const contents = async (store: StudyStore): Promise<{ journal: string[]; log: string[] }> => ({
  journal: (await readAll(store.journal())).map((bytes) => Buffer.from(bytes).toString()),
  log: (await readAll(store.entries())).map(({ body }) => Buffer.from(body).toString()),
})

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (error) => (isConsiliumError(error) ? error.code : String(error)),
  )

export interface ContractSubject {
  /** Opens the stores of a place that is kept under this name. */
  open(name: string): Promise<Stores>
  /** Whether what was stored is there when the same name is opened again. */
  readonly keeps: boolean
  /** Size of the large bodies; 20 MB if not given. */
  readonly large?: number
}

/** What every store must do: the tests of `study-store.ts`. */
export const storeContract = (subject: ContractSubject): void => {
  const start = emptyHead(digestOf("study"))

  it("gives back what was committed, in order, from any event on", async () => {
    const stores = await subject.open("order")
    const store = await stores.study(digestOf("study"))
    expect(store.length).toBe(0)
    expect(await contents(store)).toEqual({ journal: [], log: [] })
    const one = events(start, [utf8("a"), utf8("b")])
    await store.commit({ journal: [utf8("in"), new Uint8Array(0)], entries: one.entries })
    await store.commit({ journal: [utf8("out")], entries: [] })
    await store.commit({ journal: [], entries: [] })
    const two = events(one.head, [utf8("c")])
    await store.commit({ journal: [], entries: two.entries })
    expect(store.length).toBe(3)
    expect(await contents(store)).toEqual({ journal: ["in", "", "out"], log: ["a", "b", "c"] })
    expect(await readAll(store.entries())).toEqual([...one.entries, ...two.entries])
    for (let after = 0; after <= 4; after++)
      expect((await readAll(store.entries(after))).map(({ header }) => header.seq)).toEqual(
        [1, 2, 3].filter((seq) => seq > after),
      )
    await stores.close()
  })

  it("keeps a step as it was when it was handed over, and gives out copies", async () => {
    const stores = await subject.open("copies")
    const store = await stores.study(digestOf("study"))
    const { entries } = events(start, [utf8("abc")])
    const record = utf8("xyz")
    const done = store.commit({ journal: [record], entries })
    record.fill(0)
    await done
    entries[0]?.body.fill(0)
    for (const bytes of await readAll(store.journal())) bytes.fill(1)
    for (const { body } of await readAll(store.entries())) body.fill(1)
    expect(await contents(store)).toEqual({ journal: ["xyz"], log: ["abc"] })
    await stores.close()
  })

  it("refuses events that do not continue the log, or with another's body, and changes nothing", async () => {
    const stores = await subject.open("extending")
    const store = await stores.study(digestOf("study"))
    const { entries, head } = events(start, [utf8("a"), utf8("b"), utf8("c")])
    const [a, b, c] = entries as [LogEntry, LogEntry, LogEntry]
    const foreign = events(emptyHead(digestOf("another")), [utf8("a")]).entries
    const journal = [utf8("never")]
    expect(await codeOf(store.commit({ journal, entries: [b] }))).toBe("log/not-extending")
    expect(await codeOf(store.commit({ journal, entries: foreign }))).toBe("log/not-extending")
    expect(await codeOf(store.commit({ journal, entries: [a, c] }))).toBe("log/not-extending")
    await store.commit({ journal: [], entries: [a, b] })
    expect(await codeOf(store.commit({ journal, entries: [b] }))).toBe("log/not-extending")
    expect(await codeOf(store.commit({ journal, entries: [{ ...c, body: utf8("d") }] }))).toBe("log/bad-body")
    const fork = events({ seq: 2, hash: digestOf("other history") }, [utf8("c")]).entries
    expect(await codeOf(store.commit({ journal, entries: fork }))).toBe("log/not-extending")
    expect(await contents(store)).toEqual({ journal: [], log: ["a", "b"] })
    await store.commit({ journal: [utf8("j")], entries: [c] })
    expect(store.length).toBe(head.seq)
    await stores.close()
  })

  it("replaces the journal at a checkpoint and leaves the log", async () => {
    const stores = await subject.open("checkpoint")
    const store = await stores.study(digestOf("study"))
    const one = events(start, [utf8("a")])
    await store.commit({ journal: [utf8("1"), utf8("2")], entries: one.entries })
    await store.checkpoint([utf8("state")])
    expect(await contents(store)).toEqual({ journal: ["state"], log: ["a"] })
    await store.commit({ journal: [utf8("3")], entries: events(one.head, [utf8("b")]).entries })
    expect(await contents(store)).toEqual({ journal: ["state", "3"], log: ["a", "b"] })
    await store.checkpoint([])
    expect(await contents(store)).toEqual({ journal: [], log: ["a", "b"] })
    await stores.close()
  })

  it("reads events as of the call, and says so when a checkpoint replaces a journal under its reader", async () => {
    const stores = await subject.open("reading")
    const store = await stores.study(digestOf("study"))
    const one = events(start, [utf8("a"), utf8("b")])
    await store.commit({ journal: [utf8("1"), utf8("2")], entries: one.entries })
    const entries = store.entries()
    const journal = store.journal()
    const replacedJournal = store.journal()
    const late = events(one.head, [utf8("c")])
    await store.commit({ journal: [utf8("3")], entries: late.entries })
    expect(await readAll(entries)).toHaveLength(2)
    expect(await readAll(journal)).toHaveLength(2)
    const reading = store.entries()[Symbol.asyncIterator]()
    await reading.next()
    await store.checkpoint([utf8("new")])
    expect((await reading.next()).value?.header.seq).toBe(2)
    await reading.return?.()
    expect(await codeOf(readAll(replacedJournal))).toBe("store/failed")
    await stores.close()
  })

  it("does what is asked at once in the order of the calls", async () => {
    const stores = await subject.open("at-once")
    const store = await stores.study(digestOf("study"))
    const { entries } = events(
      start,
      Array.from({ length: 20 }, (_, i) => utf8(String(i))),
    )
    const done = entries.map((entry, i) => store.commit({ journal: [utf8(`j${i}`)], entries: [entry] }))
    const wrong = store.commit({ journal: [utf8("never")], entries: [entries[3] as LogEntry] })
    expect(await codeOf(wrong)).toBe("log/not-extending")
    await Promise.all(done)
    expect((await contents(store)).journal).toEqual(entries.map((_, i) => `j${i}`))
    expect(await readAll(store.entries())).toEqual(entries)
    await stores.close()
  })

  it("keeps studies apart and opens each once", async () => {
    const stores = await subject.open("studies")
    const [a, b, again] = await Promise.all(
      ["study", "another", "study"].map((name) => stores.study(digestOf(name))),
    )
    expect(again).toBe(a)
    await Promise.all([
      a?.commit({ journal: [utf8("1")], entries: events(start, [utf8("a")]).entries }),
      b?.commit({
        journal: [utf8("2")],
        entries: events(emptyHead(digestOf("another")), [utf8("b")]).entries,
      }),
    ])
    await a?.checkpoint([utf8("A")])
    expect(await contents(a as StudyStore)).toEqual({ journal: ["A"], log: ["a"] })
    expect(await contents(b as StudyStore)).toEqual({ journal: ["2"], log: ["b"] })
    expect(await codeOf(stores.study(new Uint8Array(31)))).toBe("store/bad-name")
    await stores.close()
  })

  it("holds large bodies, and bytes of every value", async () => {
    const stores = await subject.open("big")
    const store = await stores.study(digestOf("study"))
    const big = Buffer.alloc(subject.large ?? 20_000_000)
    for (let at = 0; at < big.length; at += 4) big.writeUInt32LE((at * 2654435761) >>> 0, at)
    const { entries } = events(start, [new Uint8Array(big), utf8("small")])
    await store.commit({ journal: [new Uint8Array(big), utf8("j")], entries })
    const [record, small] = await readAll(store.journal())
    expect(Buffer.from(record as Uint8Array).equals(big)).toBe(true)
    expect(small).toEqual(utf8("j"))
    const read = await readAll(store.entries())
    expect(Buffer.from(read[0]?.body as Uint8Array).equals(big)).toBe(true)
    expect(read[1]).toEqual(entries[1])
    await store.checkpoint([])
    await stores.close()
  })

  it("refuses an event beyond the limit of the encoding and changes nothing", async () => {
    const stores = await subject.open("limit")
    const store = await stores.study(digestOf("study"))
    const [entry] = events(start, [utf8("a")]).entries as [LogEntry]
    const entries = [{ ...entry, body: new Uint8Array((64 << 20) + 1) }]
    expect(await codeOf(store.commit({ journal: [utf8("never")], entries }))).toBe("encoding/too-large")
    expect(await contents(store)).toEqual({ journal: [], log: [] })
    await stores.close()
  })

  it("is of no use once it is closed", async () => {
    const stores = await subject.open("closed")
    const store = await stores.study(digestOf("study"))
    const last = store.commit({ journal: [utf8("last")], entries: [] })
    await stores.close()
    await last
    await stores.close()
    expect(await codeOf(store.commit({ journal: [utf8("late")], entries: [] }))).toBe("store/failed")
    expect(await codeOf(store.checkpoint([]))).toBe("store/failed")
    expect(await codeOf(stores.study(digestOf("study")))).toBe("store/failed")
  })

  it.runIf(subject.keeps)("has everything when it is opened again, over many small commits", async () => {
    let head = start
    const expected = { journal: [] as string[], log: [] as string[] }
    for (let run = 0; run < 3; run++) {
      const stores = await subject.open("again")
      const store = await stores.study(digestOf("study"))
      expect(store.length).toBe(head.seq)
      expect(await contents(store)).toEqual(expected)
      for (let i = 0; i < 40; i++) {
        const name = `${run}-${i}`
        const made = events(head, i % 3 === 0 ? [] : [utf8(`e${name}`)])
        head = made.head
        await store.commit({ journal: [utf8(`j${name}`)], entries: made.entries })
        expected.journal.push(`j${name}`)
        expected.log.push(...made.entries.map(({ body }) => Buffer.from(body).toString()))
        if (i === 25) {
          await store.checkpoint([utf8(`state ${run}`)])
          expected.journal = [`state ${run}`]
        }
      }
      await stores.close()
    }
  })

  it("gives events whose canonical bytes are those that came in", async () => {
    const stores = await subject.open("bytes")
    const store = await stores.study(digestOf("study"))
    const { entries } = events(start, [Uint8Array.from({ length: 256 }, (_, i) => i), new Uint8Array(0)])
    await store.commit({ journal: [], entries })
    const read = await readAll(store.entries())
    for (const [i, entry] of entries.entries()) {
      const bytes = encode(logEntryCodec, read[i] as LogEntry)
      expect(bytes).toEqual(encode(logEntryCodec, entry))
      expect(decode(logEntryCodec, bytes).header.type).toBe(`event-${i + 1}`)
    }
    await stores.close()
  })
}
