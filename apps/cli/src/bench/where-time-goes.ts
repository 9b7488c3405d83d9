import { Session } from "node:inspector/promises"

/** What a federation's process does, in the order in which it is shown. */
export const ACTIVITIES = [
  "training",
  "protecting",
  "checking-shares",
  "signing",
  "verifying",
  "hashing-encoding",
  "journal",
  "opening",
  "carrying",
  "rules",
  "collecting-garbage",
] as const
export type Activity = (typeof ACTIVITIES)[number]

/** Functions, with the file that holds them, whose whole work is one activity, whatever they call. */
const WHOLE: readonly (readonly [file: RegExp, name: RegExp, Activity])[] = [
  [/federation\/(dist|src)\/training\./, /./, "training"],
  [/local-records\./, /./, "training"],
  [/study-runner\./, /^#(save|checkpoint|checkpointIfRoom)$/, "journal"],
  [/federation\/(dist|src)\/sums\//, /^(check|openPart|openPartWithKey)$/, "checking-shares"],
  [/federation\/(dist|src)\/sums\//, /^(partial|combine)$/, "opening"],
  [/federation\/(dist|src)\/sums\//, /./, "protecting"],
  [/federation\/(dist|src)\/facility-shares\./, /^(openedOrNull|answerChallenge)$/, "checking-shares"],
  [/federation\/(dist|src)\/facility-opening\./, /^open$/, "opening"],
  [/federation\/(dist|src)\/leader-closing\./, /^(openSum|withPartial)$/, "opening"],
  [/transport\/study-door\./, /^(takeParcel|nextParcel)$/, "carrying"],
  [/identity\/(keys|suite)\./, /^(sign|signBytes)$/, "signing"],
  [/in-process\/remembered-checks\./, /^verify$/, "verifying"],
  [/identity\/suite\./, /^ed25519Verify$/, "verifying"],
  [/base\/(dist|src)\/(hash|encoding|framing|bytes)\./, /./, "hashing-encoding"],
  [/transport\//, /./, "carrying"],
]

/** What these call is not theirs: a parcel that is taken is handled by the machines. */
const HANDS_ON = /^(take|#submit|#work|#handle)$/

interface Frame {
  readonly functionName: string
  readonly url: string
}

const activityOf = ({ functionName, url }: Frame, around: Activity): Activity => {
  if (functionName === "(garbage collector)") return "collecting-garbage"
  if (around !== "rules" && around !== "carrying") return around
  if (HANDS_ON.test(functionName) && /study-runner\./.test(url)) return "rules"
  return WHOLE.find(([file, name]) => file.test(url) && name.test(functionName))?.[2] ?? around
}

/** Samples what this process does; times are in seconds. */
export class WhereTimeGoes {
  readonly #session = new Session()

  async start(): Promise<void> {
    this.#session.connect()
    await this.#session.post("Profiler.enable")
    await this.#session.post("Profiler.setSamplingInterval", { interval: 1000 })
    await this.#session.post("Profiler.start")
  }

  /** Seconds of each activity since the start; what was spent waiting is none. */
  async stop(): Promise<ReadonlyMap<Activity, number>> {
    const { profile } = await this.#session.post("Profiler.stop")
    this.#session.disconnect()
    const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
    const activities = new Map<number, Activity | null>()
    const walk = (id: number, around: Activity): void => {
      const node = nodes.get(id)
      if (node === undefined) return
      const idle = /^\((idle|program)\)$/.test(node.callFrame.functionName)
      const activity = activityOf(node.callFrame, around)
      activities.set(id, idle ? null : activity)
      for (const child of node.children ?? []) walk(child, activity)
    }
    const [root] = profile.nodes
    if (root !== undefined) walk(root.id, "rules")
    const spent = new Map<Activity, number>(ACTIVITIES.map((activity) => [activity, 0]))
    for (const [at, id] of (profile.samples ?? []).entries()) {
      const activity = activities.get(id) ?? null
      if (activity === null) continue
      spent.set(activity, (spent.get(activity) ?? 0) + (profile.timeDeltas?.[at] ?? 0) / 1e6)
    }
    return spent
  }
}
