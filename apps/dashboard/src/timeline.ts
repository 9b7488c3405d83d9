import type { AttemptView, LaneView, RoundView } from "@consilium/node/api/study-view"
import { inNameOrder } from "./format.js"
import { STEPS } from "./words.js"

export interface Mark {
  readonly step: string
  readonly at: string
  readonly detail: string | null
  /** Milliseconds since the round began. */
  readonly after: number
  /** From the left edge of the lane to the middle of the mark. */
  readonly x: number
}
export interface Band {
  readonly phase: string
  readonly x: number
  readonly width: number
  readonly milliseconds: number
}

const time = (iso: string): number => Date.parse(iso)

/** When an attempt's picture ends: at its end, or at the last thing known of it. */
export const attemptEnd = (attempt: AttemptView): number =>
  Math.max(
    time(attempt.endedAt ?? attempt.startedAt),
    ...attempt.phases.map(({ at }) => time(at)),
    ...attempt.lanes.flatMap(({ steps }) => steps.map(({ at }) => time(at))),
  )

/** Phases that an attempt ends with. */
const LAST: ReadonlySet<string> = new Set(["closed", "held", "void"])
export const isOver = ({ phase }: Pick<AttemptView, "phase">): boolean => LAST.has(phase)

/**
 * Moves positions apart to at least `gap`, in order and within [low, high]; where there is no room for that, they share
 * it evenly.
 */
export const spread = (
  wanted: readonly number[],
  gap: number,
  low: number,
  high: number,
): readonly number[] => {
  if (wanted.length > 1 && (wanted.length - 1) * gap > high - low)
    return wanted.map((_, i) => low + ((high - low) * i) / (wanted.length - 1))
  const placed: number[] = []
  for (const x of wanted) placed.push(Math.max(x, low, (placed.at(-1) ?? Number.NEGATIVE_INFINITY) + gap))
  // back from the right edge, as far as it takes
  let limit = high
  for (let i = placed.length - 1; i >= 0; i--) {
    placed[i] = Math.min(placed[i] as number, limit)
    limit = (placed[i] as number) - gap
  }
  return placed
}

export const MARK_SIZE = 20

/** Where the steps of a lane stand in a picture of the given width. */
export const marksOf = (attempt: AttemptView, lane: LaneView, width: number): readonly Mark[] => {
  const start = time(attempt.startedAt)
  const length = Math.max(1, attemptEnd(attempt) - start)
  const steps = [...lane.steps].sort((a, b) => time(a.at) - time(b.at))
  const wanted = steps.map(({ at }) => ((time(at) - start) / length) * width)
  const xs = spread(wanted, MARK_SIZE + 1, MARK_SIZE / 2, Math.max(MARK_SIZE / 2, width - MARK_SIZE / 2))
  return steps.map((step, i) => ({ ...step, after: time(step.at) - start, x: xs[i] as number }))
}

/** The phases of an attempt as bands over a picture of the given width; a phase of no length has no band. */
export const bandsOf = (attempt: AttemptView, width: number): readonly Band[] => {
  const start = time(attempt.startedAt)
  const end = attemptEnd(attempt)
  const length = Math.max(1, end - start)
  return attempt.phases.flatMap(({ phase, at }, i) => {
    if (LAST.has(phase)) return []
    const from = time(at)
    const to = i + 1 < attempt.phases.length ? time(attempt.phases[i + 1]?.at as string) : end
    if (to <= from) return []
    return [
      {
        phase,
        x: ((from - start) / length) * width,
        width: ((to - from) / length) * width,
        milliseconds: to - from,
      },
    ]
  })
}

const OTHER_SIGNS: Readonly<Record<string, string>> = {
  summed: "+",
  counted: "#",
  refused: "✕",
  excluded: "–",
}

/** The sign in a mark: the step's place in the order of steps, or a sign of its own for what is not one of them. */
export const markSign = (step: string, steps: readonly string[] = STEPS): string => {
  const place = steps.indexOf(step)
  if (place >= 0) return String(place + 1)
  return Object.hasOwn(OTHER_SIGNS, step) ? (OTHER_SIGNS[step] as string) : "•"
}

/** The lanes of an attempt: those of these names, empty where nothing is known, then the others. */
export const lanesOf = (attempt: AttemptView, names: readonly string[]): readonly LaneView[] => {
  const known = new Map(attempt.lanes.map((lane) => [lane.name, lane]))
  const listed = [...names].sort(inNameOrder).map((name) => known.get(name) ?? { name, steps: [] })
  const others = attempt.lanes.filter(({ name }) => !names.includes(name))
  return [...listed, ...others.sort((a, b) => inNameOrder(a.name, b.name))]
}

/** A round's attempt by name, unique within a study. */
export const roundKey = ({ round, attempt }: Pick<RoundView, "round" | "attempt">): string =>
  `${round}.${attempt}`
