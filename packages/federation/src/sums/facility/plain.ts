import { valueCount } from "../../study.js"
import { checkLength, readableBytes } from "../plain.js"
import type { FacilityScheme } from "./facility-scheme.js"

/** Sends the integers as they are. */
export const plainFacility: FacilityScheme = {
  protect(setting, { epochKeys }, values) {
    checkLength(values.length, valueCount(setting.study), "values")
    return { payload: readableBytes(values), parts: [], own: null, epochKeys }
  },
  answer: null,
  openPart: null,
  partial: null,
}
