import {
  type FacilityLedger,
  privacyLedgerOf,
  resetPrivacyLedger,
} from "@consilium/node/doctor/privacy-ledger"
import { columns, type Format, print } from "./printed.js"

const shown = (epsilon: number | null): string => (epsilon === null ? "without bound" : epsilon.toFixed(2))
const entries = (n: number): string => `${n} ${n === 1 ? "entry" : "entries"}`

type Room = FacilityLedger["studies"][number]["room"]

/** How many more rounds fit, and what ends them. */
const roomOf = (room: Room): string => {
  if (room === null) return "over"
  const { rounds, by } = room
  const why = {
    planned: "all that are left",
    "study-cap": "then the study's cap is reached",
    "month-cap": "then this month's cap is reached",
    ledger: "the ledger is not whole",
  }[by]
  return `${rounds} (${why})`
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
    : `One chain of ${entries(head.seq)}, ${held}; head ${head.hash.slice(0, 16)}. ${compared}`.trim()
}

const linesOf = (found: FacilityLedger): readonly string[] => {
  const { facility, running, problem, months, thisMonth, studies } = found
  const all = months.some(({ month }) => month === thisMonth.month) ? months : [...months, thisMonth]
  return [
    `The privacy ledger of ${facility}${running ? "" : ", which does not run"}.`,
    ...(problem === null ? [] : [`NOT WHOLE: ${problem.reason}`]),
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
    ...(studies.length === 0
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
            ],
            studies.map(({ name, id, state, spent, cap, updates, room }) => [
              name,
              id.slice(0, 16),
              state,
              shown(spent.epsilon),
              cap.epsilon.toFixed(2),
              String(cap.delta),
              updates.map((one) => `${one.month}: ${one.updates}`).join(", ") || "none",
              roomOf(room),
            ]),
          ),
        ]),
  ]
}

export const privacyLedger = async (config: string, format: Format): Promise<void> => {
  const found = await privacyLedgerOf(config)
  print(format, found, linesOf(found))
}

export const resetLedger = async (
  config: string,
  decision: { readonly by: string; readonly reason: string },
  format: Format,
): Promise<void> => {
  const begun = await resetPrivacyLedger(config, decision)
  print(format, begun, [
    `The privacy ledger of ${begun.facility} begins anew with entry ${begun.beganAt}; all of ${begun.thisMonth.month} counts as spent.`,
    "Rounds with differential privacy go on here next month.",
  ])
}
