import { equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { type Encoded, fixedBytes, list, nullable, record, sortedBy, u53 } from "@consilium/base/encoding"
import { type LedgerHead, ledgerHeadCodec } from "./ledger-chain.js"
import { MAX_PARTICIPANTS } from "./roster.js"

// What a facility has seen of the ledgers of others. Each entry of a ledger stands behind one update of one study, so its
// number is certified once: one that comes again behind another update shows that the ledger was set back.

/** Most runs of numbers that are kept of one ledger; beyond it the oldest gap counts as seen. */
const MOST_RUNS = 64

const runCodec = record({ from: u53, to: u53 })
const seenCodec = record({
  newest: ledgerHeadCodec,
  /** The last head certified in this very study. */
  here: nullable(ledgerHeadCodec),
  /** The numbers seen in any study, as runs in ascending order. */
  runs: list(runCodec, MOST_RUNS),
})
type Run = Encoded<typeof runCodec>
type Seen = Encoded<typeof seenCodec>

/** What was seen of each ledger, by facility. */
export type Witness = ReadonlyMap<string, Seen>

const namedCodec = record({ facility: fixedBytes(16), seen: seenCodec })
export const witnessCodec = sortedBy(namedCodec, ({ facility }) => facility, MAX_PARTICIPANTS)

export const listOfWitness = (witness: Witness): Encoded<typeof witnessCodec> =>
  [...witness.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([facility, seen]) => ({ facility: fromHex(facility), seen }))

export const witnessOfList = (listed: Encoded<typeof witnessCodec>): Witness =>
  new Map(listed.map(({ facility, seen }) => [toHex(facility), seen]))

const joined = (a: readonly Run[], b: readonly Run[]): readonly Run[] => {
  const runs: Run[] = []
  for (const run of [...a, ...b].sort((x, y) => x.from - y.from)) {
    const last = runs.at(-1)
    if (last !== undefined && run.from <= last.to + 1)
      runs[runs.length - 1] = { from: last.from, to: Math.max(last.to, run.to) }
    else runs.push(run)
  }
  while (runs.length > MOST_RUNS) {
    const [first, second] = runs.splice(0, 2) as [Run, Run]
    runs.unshift({ from: first.from, to: second.to })
  }
  return runs
}

const isSeen = (runs: readonly Run[], seq: number): boolean =>
  runs.some(({ from, to }) => from <= seq && seq <= to)

/** What a head says of its ledger, beside what was seen of it: null if it may follow, else what is wrong with it. */
export const contradiction = (witness: Witness, facility: Uint8Array, head: LedgerHead): string | null => {
  const seen = witness.get(toHex(facility))
  if (seen === undefined) return null
  const { here, newest, runs } = seen
  if (here !== null && head.seq <= here.seq) {
    if (head.seq < here.seq) return `entry ${head.seq} comes after entry ${here.seq}`
    // the same update, protected again in another attempt
    return equalBytes(head.hash, here.hash) ? null : `entry ${head.seq} is another than before`
  }
  if (head.seq === newest.seq && !equalBytes(head.hash, newest.hash))
    return `entry ${head.seq} is another than before`
  return isSeen(runs, head.seq) ? `entry ${head.seq} was seen before, up to entry ${newest.seq}` : null
}

/** The witness who has seen one more head in a list of this study. */
export const withHeadSeen = (witness: Witness, facility: Uint8Array, head: LedgerHead): Witness => {
  const name = toHex(facility)
  const seen = witness.get(name)
  const newest = seen !== undefined && seen.newest.seq >= head.seq ? seen.newest : head
  const runs = joined(seen?.runs ?? [], [{ from: head.seq, to: head.seq }])
  return new Map(witness).set(name, { newest, here: head, runs })
}

/** The witness who knows what was seen in other studies as well: the same one, if that is nothing new. */
export const withSeenElsewhere = (witness: Witness, elsewhere: Witness): Witness => {
  const news = new Map<string, Seen>()
  for (const [facility, other] of elsewhere) {
    const own = witness.get(facility)
    const runs = joined(own?.runs ?? [], other.runs)
    const isNews =
      own === undefined ||
      own.newest.seq < other.newest.seq ||
      runs.length !== own.runs.length ||
      runs.some(({ from, to }, i) => from !== own.runs[i]?.from || to !== own.runs[i]?.to)
    if (!isNews) continue
    const newest = own !== undefined && own.newest.seq >= other.newest.seq ? own.newest : other.newest
    news.set(facility, { newest, here: own?.here ?? null, runs })
  }
  return news.size === 0 ? witness : new Map([...witness, ...news])
}

/** What one witness has seen and an earlier one had not. */
export const newlySeen = (before: Witness, after: Witness): Witness =>
  new Map([...after].filter(([facility, seen]) => before.get(facility) !== seen))
