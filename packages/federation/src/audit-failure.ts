import { ConsiliumError } from "@consilium/base/errors"

/** What an event of a log does wrong. */
export const failure = (seq: number, what: string): ConsiliumError =>
  new ConsiliumError("audit/failed", `Event ${seq} of the log: ${what}.`)
