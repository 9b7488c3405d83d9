import type { ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"

/** What a check comes to: a `note` is worth knowing and no fault; `not-checked` says why not. */
export type Verdict = "passed" | "note" | "problem" | "not-checked"

export interface Finding {
  readonly verdict: Verdict
  /** One sentence, with the numbers. Never a key, a token or a patient's value. */
  readonly says: string
  /** What to do about a problem. */
  readonly remedy: string | null
  readonly code: ErrorCode | null
}

export interface Check {
  /** Its name in JSON, such as "data-folder". */
  readonly id: string
  /** A problem is a finding of that verdict, or an error that is thrown. */
  run(): Promise<Finding>
}

export interface Examined extends Finding {
  readonly id: string
}

const finding = (verdict: Verdict, says: string, remedy: string | null = null): Finding => ({
  verdict,
  says,
  remedy,
  code: null,
})
export const passed = (says: string): Finding => finding("passed", says)
export const note = (says: string, remedy: string | null = null): Finding => finding("note", says, remedy)
export const notChecked = (says: string): Finding => finding("not-checked", says)

const problemOf = (error: unknown): Finding => {
  if (error instanceof ConsiliumError)
    return { verdict: "problem", says: error.message, remedy: error.remedy, code: error.code }
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown }
  return {
    verdict: "problem",
    // an unknown error's own words may hold what it was working on
    says: `The check itself failed (${typeof code === "string" ? code : typeof name === "string" ? name : "unknown error"}).`,
    remedy: "Run the check again; if it repeats, report it with the name of the check.",
    code: null,
  }
}

/** Runs checks one after the other. An error of one is its problem and stops none of the others. */
export const examine = async (
  checks: readonly Check[],
  told: (examined: Examined) => void = () => undefined,
): Promise<readonly Examined[]> => {
  const all: Examined[] = []
  for (const { id, run } of checks) {
    const examined = { id, ...(await run().catch(problemOf)) }
    told(examined)
    all.push(examined)
  }
  return all
}

/** The exit code of the first problem's class; 0 without problems. */
export const exitCodeOf = (all: readonly Examined[]): number => {
  const first = all.find(({ verdict }) => verdict === "problem")
  if (first === undefined) return 0
  return first.code === null ? 1 : new ConsiliumError(first.code, "").exitCode
}
