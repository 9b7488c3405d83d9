import { milliseconds } from "@consilium/base/units"
import {
  type StartOptions,
  startAuthority,
  startFacility,
  startFog,
  startLeader,
} from "@consilium/node/roles/start"
import { builtPage } from "./built-page.js"
import { EndWith } from "./printed.js"
import { endInTime, stopSignal } from "./stopping.js"

interface StartArguments {
  readonly config: string
  readonly patience: number
  readonly withParent?: boolean
  readonly format: "text" | "json"
}

const ROLES = {
  authority: startAuthority,
  leader: async (options: StartOptions) => startLeader({ ...options, page: await builtPage() }),
  fog: startFog,
  facility: startFacility,
} as const

/** Runs one role in this process until its study ends. What it does is told on standard error. */
export const start = async (role: keyof typeof ROLES, options: StartArguments): Promise<void> => {
  const stop = stopSignal(options.withParent === true)
  endInTime(stop)
  const outcomes = await ROLES[role]({
    configPath: options.config,
    patience: milliseconds(1000 * options.patience),
    narrate: (line) => process.stderr.write(`${new Date().toISOString()} ${role}: ${line}\n`),
    stop,
  })
  if (outcomes && options.format === "json")
    process.stdout.write(`${JSON.stringify({ studies: outcomes })}\n`)
  process.stdin.destroy()
  if (outcomes && !outcomes.every(({ complete }) => complete)) throw new EndWith(6)
}
