import { refusalOfProblem } from "../transport/problem.js"
import { pause } from "../transport/within-time.js"
import type { ModelRoutes } from "./routes.js"

const FIRST_MS = 25
const LONGEST_MS = 2000
const SLOWER = 1.5

/** Waits for the answers of a batch, asking less and less often. Throws why it failed, if it did. */
export const batchDone = async (routes: ModelRoutes, id: string, signal: AbortSignal): Promise<void> => {
  for (let wait = FIRST_MS; ; wait = Math.min(LONGEST_MS, wait * SLOWER)) {
    const view = await routes.batch(id, signal)
    if (view.state === "done") return
    if (view.state === "failed") throw refusalOfProblem(view.problem?.status ?? 500, view.problem ?? {})
    await pause(wait, signal)
  }
}
