import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError } from "@consilium/base/errors"
import type { EventView, RoundView, StudyView } from "@consilium/node/api/study-view"
import { EndWith, type Format, print } from "./printed.js"
import type { Leader } from "./study-api.js"
import { eventsOf } from "./study-events.js"
import { studyNamed, viewOf } from "./study-named.js"

/** What is waited for: the end of the study, or of one of its rounds. */
export type Until = { readonly what: "end" } | { readonly what: "round"; readonly round: number }

interface Waiting extends Leader {
  readonly study?: string
  readonly until: Until
  /** Seconds; for ever if absent. */
  readonly timeout?: number
  /** Seconds that a leader may be away, once it has answered. */
  readonly patience: number
  readonly format: Format
}

/** How waiting ended, with the exit code that says so. */
const EXITS = { closed: 0, aborted: 8, timeout: 9 } as const
type Ending = keyof typeof EXITS

/** Events after which a look at the study may show something new. */
const TURNS = new Set(["announce", "void", "closed", "finish", "aborted", "ended"])
/** Refusals of a leader that is starting, ending or busy. */
const PASSING = new Set<string>([
  "network/unreachable",
  "api/not-ready",
  "api/overloaded",
  "api/too-many-requests",
])
const PAUSE_MS = 1_000

const closedRounds = ({ rounds }: StudyView): readonly RoundView[] =>
  rounds.filter(({ phase }) => phase === "closed")

/** Whether what is waited for has come, or cannot come any more. */
const endingOf = (view: StudyView, until: Until): Ending | null => {
  if (until.what === "round" && closedRounds(view).some(({ round }) => round === until.round)) return "closed"
  if (view.state === "complete") return "closed"
  return view.state === "aborted" && view.reason !== null ? "aborted" : null
}

const seconds = ({ startedAt, endedAt }: RoundView): string =>
  endedAt === null ? "" : `, ${((Date.parse(endedAt) - Date.parse(startedAt)) / 1000).toFixed(1)} s`

const meanAuc = ({ metrics }: RoundView): string => {
  const known = metrics.flatMap(({ auc }) => (auc === null ? [] : [auc]))
  const sum = known.reduce((total, auc) => total + auc, 0)
  return known.length === 0 ? "" : `, mean AUC ${(sum / known.length).toFixed(3)} at ${known.length}`
}

const roundLine = (round: RoundView, planned: number): string =>
  round.phase === "void"
    ? `round ${round.round}, attempt ${round.attempt} is void: ${round.reason ?? "the study ended"}`
    : `round ${round.round} of ${planned} closed: ${round.cohort.length} facilities, model ${round.modelHash?.slice(0, 16)}${seconds(round)}${meanAuc(round)}`

/** What is known of a study that is waited for, and what was said of it. */
class Watch {
  view: StudyView
  /** The reader's place in the log. */
  position: string
  readonly #tell: (line: string) => void
  readonly #told = new Set<string>()

  constructor(view: StudyView, tell: (line: string) => void) {
    this.view = view
    this.position = `${view.id.slice(0, 16)}:${view.log.events}`
    this.#tell = tell
    const closed = closedRounds(view)
    for (const { round, attempt } of view.rounds) this.#told.add(`${round}/${attempt}`)
    const last = view.rounds.at(-1)
    if (last !== undefined && !isOver(last)) this.#told.delete(`${last.round}/${last.attempt}`)
    tell(`${view.name} is ${view.state}: ${closed.length} of ${view.plannedRounds} rounds closed`)
  }

  /** Takes a newer view and tells of each attempt that is over, once. */
  take(view: StudyView): void {
    this.view = view
    for (const round of view.rounds) {
      const name = `${round.round}/${round.attempt}`
      if (!isOver(round) || this.#told.has(name)) continue
      this.#told.add(name)
      this.#tell(roundLine(round, view.plannedRounds))
    }
  }
}

const isOver = ({ phase }: RoundView): boolean => phase === "closed" || phase === "void"

/** The last word of a study, from its own event: a leader whose last study is over may be gone before it is asked again. */
const lastWord = (view: StudyView, { says }: EventView, aborted: boolean): StudyView => ({
  ...view,
  state: aborted ? "aborted" : "complete",
  reason: aborted ? says.replace(/^The study has ended: /, "") : null,
})

const isPassing = (error: unknown): boolean => error instanceof ConsiliumError && PASSING.has(error.code)

/** Follows a study until it is where it is waited for, and says so as the exit code. */
export const studyWait = async (options: Waiting): Promise<void> => {
  const { until, timeout, format } = options
  const tell = (line: string): void => {
    process[format === "json" ? "stderr" : "stdout"].write(`${line.replace(/[\p{Cc}\p{Cf}]/gu, "?")}\n`)
  }
  const { id } = await studyNamed(options, options.study)
  const first = await viewOf(options, id)
  if (until.what === "round" && until.round > first.plannedRounds)
    throw new ConsiliumError(
      "cli/usage",
      `The study ${first.name} has ${first.plannedRounds} rounds; round ${until.round} never comes.`,
      { remedy: "Wait for an earlier round, or for the end." },
    )
  const late = new AbortController()
  const alarm = timeout === undefined ? undefined : setTimeout(() => late.abort(), 1000 * timeout)
  const watch = new Watch(first, tell)
  try {
    const ending = (await follow(options, watch, late.signal, tell)) ?? "timeout"
    report(format, watch.view, until, ending)
    if (ending !== "closed") throw new EndWith(EXITS[ending])
  } finally {
    clearTimeout(alarm)
  }
}

/** How it ended; null when it took too long. */
const follow = async (
  options: Waiting,
  watch: Watch,
  late: AbortSignal,
  tell: (line: string) => void,
): Promise<Ending | null> => {
  const { until, patience } = options
  let heard = performance.now()
  let away = false
  for (;;) {
    let ending = endingOf(watch.view, until)
    if (ending !== null) return ending
    try {
      ending = await throughEvents(options, watch, late)
      if (ending !== null) return ending
    } catch (error) {
      if (!isPassing(error)) throw error
    }
    if (late.aborted) return null
    if (!away) tell("the connection to the leader is gone; trying again")
    away = true
    await sleep(PAUSE_MS, undefined, { signal: late }).catch(() => undefined)
    try {
      watch.take(await viewOf(options, watch.view.id))
      heard = performance.now()
      away = false
    } catch (error) {
      if (!isPassing(error) || performance.now() - heard > 1000 * patience) throw error
    }
  }
}

/** Follows one connection to its end; gives the ending if it came. */
const throughEvents = async (options: Waiting, watch: Watch, late: AbortSignal): Promise<Ending | null> => {
  const { id } = watch.view
  let aborted = false
  for await (const told of eventsOf(options, id, watch.position, late)) {
    watch.position = told.id
    const { type } = told.event
    aborted ||= type === "aborted"
    if (!TURNS.has(type)) continue
    try {
      watch.take(await viewOf(options, id))
    } catch (error) {
      if (!isPassing(error)) throw error
      if (type === "ended") watch.take(lastWord(watch.view, told.event, aborted))
    }
    const ending = endingOf(watch.view, options.until)
    if (ending !== null) return ending
  }
  return null
}

const WORDS: Readonly<Record<Ending, string>> = {
  closed: "What was waited for has come",
  aborted: "The study ended before it was complete",
  timeout: "It took too long",
}

const report = (format: Format, view: StudyView, until: Until, ending: Ending): void => {
  const closed = closedRounds(view)
  const last = closed.at(-1)
  const { id, name, state, reason, plannedRounds } = view
  print(
    format,
    {
      id,
      name,
      ending,
      until: until.what === "end" ? "end" : until.round,
      state,
      reason,
      closedRounds: closed.length,
      plannedRounds,
      modelHash: last?.modelHash ?? null,
    },
    [
      `${WORDS[ending]}: ${name} is ${state}, ${closed.length} of ${plannedRounds} rounds closed${reason === null ? "" : `. ${reason}`}`,
      ...(last === undefined ? [] : [`  model  ${last.modelHash}`]),
    ],
  )
}
