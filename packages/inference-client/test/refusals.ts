import { ConsiliumError } from "@consilium/base/errors"

/** The typed error that some work ends with; anything else is thrown on. */
export const refusalFrom = async (work: Promise<unknown>): Promise<ConsiliumError> => {
  try {
    await work
  } catch (error) {
    if (error instanceof ConsiliumError) return error
    throw error
  }
  throw new Error("nothing was refused")
}
