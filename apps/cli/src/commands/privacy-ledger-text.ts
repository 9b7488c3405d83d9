import type { FacilityLedger } from "@consilium/node/doctor/privacy-ledger"
import { columns } from "./printed.js"

const shown = (epsilon: number | null): string => (epsilon === null ? "without bound" : epsilon.toFixed(2))
const counted = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`
const minute = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`

type Study = FacilityLedger["studies"][number]

/** How many more rounds fit, and what ends them. */
const roomOf = (room: Study["room"]): string => {
  if (room === null) return "over"
  const { rounds, by } = room
  const why = {
    planned: "all that are left",
    "study-cap": "then the study's cap is reached",
    "month-cap": "then this month's cap is reached",
    "lifetime-cap": "then the lifetime's cap is reached",
    ledger: "the ledger is not whole",
  }[by]
  return `${rounds} (${why})`
}

const MINUTES = 24 * 60
const paceText = (roundsPerDay: number): string => {
  if (roundsPerDay >= MINUTES) return `${(roundsPerDay / MINUTES).toFixed(1)} rounds a minute`
  if (roundsPerDay >= 24) return `${(roundsPerDay / 24).toFixed(1)} rounds an hour`
  return roundsPerDay >= 1
    ? `${roundsPerDay.toFixed(1)} rounds a day`
    : `one round in ${(1 / roundsPerDay).toFixed(1)} days`
}

const forecastOf = ({ room, forecast }: Study): string => {
  if (room === null || forecast === null) return ""
  const { roundsPerDay, reachedAt, plannedUntil } = forecast
  if (roundsPerDay === null) return "no pace known yet"
  const pace = paceText(roundsPerDay)
  if (reachedAt !== null) return `${pace}: reached about ${minute(reachedAt)}`
  if (plannedUntil !== null) return `${pace}: all done about ${minute(plannedUntil)}`
  return room.by === "month-cap" ? `${pace}: the month ends before` : pace
}

const capForecast = (
  name: string,
  { rounds, reachedAt, by }: FacilityLedger["thisMonth"]["forecast"],
): readonly string[] => {
  if (by === "cap" && reachedAt !== null)
    return [
      `At the pace so far ${name} is reached about ${minute(reachedAt)}, after ${counted(rounds ?? 0, "more round", "more rounds")} of all studies together.`,
    ]
  if (by === "time") return [`At the pace so far ${name} is not reached before the month ends.`]
  return by === "planned" && (rounds ?? 0) > 0
    ? [`At the pace so far ${name} is not reached by what is planned.`]
    : []
}

const chainOf = ({ head, certified, state, running }: FacilityLedger): string => {
  const held = certified === null ? "none of them certified yet" : `certified up to entry ${certified.seq}`
  const compared = {
    compared: "The leader knows of no more.",
    "not-compared": running
      ? "Nothing is spent before the leader has said what it knows of it."
      : "It is compared with what the leader knows when the facility starts.",
    "rolled-back": "",
  }[state]
  return head.seq === 0
    ? `It has no entries. ${compared}`.trim()
    : `One chain of ${counted(head.seq, "entry", "entries")}, ${held}; head ${head.hash.slice(0, 16)}. ${compared}`.trim()
}

const lifetimeOf = ({ lifetime }: FacilityLedger): readonly string[] => {
  const { epsilon, delta, updates, since, cap, beginnings, forecast } = lifetime
  if (since === null && cap === null) return []
  const least = beginnings.length === 0 ? "" : "at least "
  const spent = `All months together${since === null ? "" : `, since ${since}`}: ${least}epsilon ${shown(epsilon)} (delta ${delta}) in ${counted(updates, "update", "updates")}, by an odometer that holds at every moment.`
  return [
    spent,
    cap === null
      ? "The policy caps no lifetime."
      : `Of the lifetime's cap of epsilon ${shown(cap.epsilon)} (delta ${cap.delta}), ${shown(cap.spent)} is used.`,
    ...(forecast === null ? [] : capForecast("the lifetime's cap", forecast)),
  ]
}

const spendingOf = ({ spending }: FacilityLedger): readonly string[] =>
  spending.length === 0
    ? []
    : [
        "",
        ...columns(
          ["month", "study", "spent on", "updates", "steps", "alone (epsilon)", "delta"],
          spending.map(({ month, study, name, purpose, updates, steps, epsilon, delta }) => [
            month,
            name ?? study.slice(0, 16),
            purpose,
            String(updates),
            String(steps),
            shown(epsilon),
            String(delta),
          ]),
        ),
      ]

const studiesOf = ({ studies }: FacilityLedger): readonly string[] =>
  studies.length === 0
    ? ["", "No study with differential privacy has begun here."]
    : [
        "",
        ...columns(
          [
            "study",
            "id",
            "state",
            "spent (epsilon)",
            "cap",
            "delta",
            "updates by month",
            "rounds that still fit",
            "at the pace so far",
          ],
          studies.map((study) => [
            study.name,
            study.id.slice(0, 16),
            study.state,
            shown(study.spent.epsilon),
            study.cap.epsilon.toFixed(2),
            String(study.cap.delta),
            study.updates.map((one) => `${one.month}: ${one.updates}`).join(", ") || "none",
            roomOf(study.room),
            forecastOf(study),
          ]),
        ),
      ]

/** A facility's ledger for a person. */
export const ledgerLines = (found: FacilityLedger): readonly string[] => {
  const { facility, running, problem, months, thisMonth, warnings } = found
  const all = months.some(({ month }) => month === thisMonth.month) ? months : [...months, thisMonth]
  return [
    `The privacy ledger of ${facility}${running ? "" : ", which does not run"}.`,
    ...(problem === null ? [] : [`NOT WHOLE: ${problem.reason}`]),
    ...warnings.map(({ says }) => `WARNING: ${says}`),
    chainOf(found),
    "",
    ...columns(
      ["month", "spent (epsilon)", "cap", "delta", "updates"],
      all.map(({ month, epsilon, cap, updates, beginning }) => [
        month,
        beginning === null
          ? shown(epsilon)
          : `all of it: started anew by ${beginning.by} (${beginning.reason})`,
        cap.epsilon.toFixed(2),
        String(cap.delta),
        String(updates),
      ]),
    ),
    ...capForecast(`the cap of ${thisMonth.month}`, thisMonth.forecast),
    ...lifetimeOf(found),
    ...spendingOf(found),
    ...studiesOf(found),
  ]
}
