import { ConsiliumError } from "@consilium/base/errors"

const bad = (message: string): never => {
  throw new ConsiliumError("privacy/bad-parameter", message)
}

export const mustBeConfidence = (value: number): void => {
  if (!(value > 0 && value < 1)) bad(`A confidence of ${value} does not lie between 0 and 1.`)
}

/** Whether so many of all can be. */
export const mustBeCountOf = (what: string, count: number, all: number): void => {
  if (!Number.isSafeInteger(all) || all < 1 || !Number.isSafeInteger(count) || count < 0 || count > all)
    bad(`${what}: ${count} of ${all} cannot be.`)
}
