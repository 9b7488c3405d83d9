import { setImmediate as breathe } from "node:timers/promises"
import type { StudyHandle } from "./leader-service.js"
import type { ModelView, StudySummary, StudyView } from "./study-view.js"
import { applyEntry, type FoldState, startView } from "./view-fold.js"

const ENTRIES_AT_ONCE = 200

/** The views of studies, each folded on from where it was when it was last asked for. */
export class StudyViews {
  readonly #folds = new Map<string, Promise<FoldState>>()

  async of(handle: StudyHandle): Promise<StudyView> {
    const before = this.#folds.get(handle.id) ?? Promise.resolve(startView(handle))
    const next = before.then((state) => foldOn(handle, state))
    // a failed reading leaves what was folded before
    this.#folds.set(
      handle.id,
      next.catch(() => before),
    )
    return (await next).view
  }
}

const foldOn = async (handle: StudyHandle, from: FoldState): Promise<FoldState> => {
  let state = from
  let folded = 0
  for await (const entry of handle.entries(from.view.log.events)) {
    state = applyEntry(state, entry)
    folded += 1
    if (folded % ENTRIES_AT_ONCE === 0) await breathe()
  }
  return state
}

export const summaryOf = (view: StudyView): StudySummary => ({
  id: view.id,
  name: view.name,
  state: view.state,
  protection: view.protection,
  plannedRounds: view.plannedRounds,
  closedRounds: view.rounds.filter(({ phase }) => phase === "closed").length,
  startedAt: view.startedAt,
  updatedAt: view.updatedAt,
  events: view.log.events,
})

export const modelsOf = (view: StudyView): readonly ModelView[] =>
  view.rounds.flatMap(({ round, attempt, modelHash, endedAt, cohort }) =>
    modelHash === null || endedAt === null
      ? []
      : [{ hash: modelHash, round, attempt, closedAt: endedAt, cohort }],
  )
