import type { StudySummary } from "@consilium/node/api/study-view"

type Entry = Pick<StudySummary, "id" | "state">

/** The study to show: the chosen one if it is there, else the newest that runs, else the newest. */
export const shownStudy = <T extends Entry>(studies: readonly T[], chosen: string | null): T | undefined =>
  studies.find(({ id }) => id === chosen) ??
  studies.findLast(({ state }) => state === "running") ??
  studies.at(-1)

const KEY = "study"

/** The study that a page's address names. */
export const chosenIn = (search: string): string | null => new URLSearchParams(search).get(KEY)

/** The address's query that names a study. */
export const searchFor = (search: string, id: string): string => {
  const query = new URLSearchParams(search)
  query.set(KEY, id)
  return `?${query}`
}
