import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { readCompiledPlan } from "@consilium/node/inference/model-folder"
import { planView } from "@consilium/node/inference/plan-view"
import { type Format, print } from "../commands/printed.js"
import { fieldLines, parameterLines } from "./plan-text.js"

/** Prints the plan of a compiled folder. */
export const inferPlan = async (options: {
  readonly plan: string
  readonly format: Format
}): Promise<void> => {
  const view = planView(new PreparedPlan(await readCompiledPlan(options.plan)))
  print(options.format, view, [
    `${view.model}, version ${view.version}, asks of each patient:`,
    ...fieldLines(view),
    "",
    ...parameterLines(view),
  ])
}
