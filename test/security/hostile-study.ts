import { milliseconds } from "@consilium/base/units"
import { isKeyed } from "@consilium/federation/study"
import { leaderFileSchema, storageKeyOf } from "@consilium/node/config/role-files"
import { readConfig } from "@consilium/node/config/yaml-file"
import { joinStudy, type Membership } from "@consilium/node/roles/membership"
import { HostileCeremonies } from "./hostile-ceremony.js"
import { KeyScript } from "./hostile-key-script.js"
import { HostileLeader, type Tried } from "./hostile-leader.js"
import { HostileRounds } from "./hostile-round.js"
import { Script } from "./hostile-script.js"

// The program of a leader process that tries, in one study, what a dishonest leader would try. It runs in place of
// `consilium leader start` and prints what the facilities answered as one JSON value.

/** What the process prints. */
export interface HostileReport {
  /** Facilities in the study's order. */
  readonly names: readonly string[]
  readonly tried: readonly Tried[]
  /** Partial openings that came, by the label of the certified list they answer. */
  readonly partials: Readonly<Record<string, number>>
  readonly sums: Readonly<Record<string, string>>
  /** How many exact figures came: of a round's model, and at the end. */
  readonly figures: { readonly rounds: number; readonly final: number }
  /** How many updates came, and answers to tests of keys. */
  readonly came: { readonly updates: number; readonly keyTests: number }
  /** What the fog told of messages that it did not pass on. */
  readonly fogSecurity: readonly string[]
  /** Why the script ended early; null if it came to its end. */
  readonly stopped: string | null
}

const narrate = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const scriptFor = (membership: Membership) => {
  if (isKeyed(new HostileLeader(membership).study)) {
    const leader = new HostileCeremonies(membership)
    return { leader, script: new KeyScript(leader, narrate) }
  }
  const leader = new HostileRounds(membership)
  return { leader, script: new Script(leader, narrate) }
}

const main = async (configPath: string): Promise<void> => {
  const config = await readConfig(leaderFileSchema, configPath)
  const membership = await joinStudy({
    configPath,
    role: "leader",
    dataFolder: config.data_folder,
    storageKey: storageKeyOf(config.storage_key, configPath),
    listen: config.listen,
    patience: milliseconds(120_000),
    narrate,
    stop: new AbortController().signal,
  })
  const { leader, script } = scriptFor(membership)
  await leader.start()
  const stopped = await script.run()
  if (stopped !== null) leader.broadcast({ type: "ended", reason: stopped, head: null })
  await leader.close()
  await membership.leave()
  const report: HostileReport = {
    names: leader.names,
    tried: leader.tried,
    partials: Object.fromEntries(
      Object.entries(leader.partials()).map(([digest, count]) => [
        script.certified.get(digest) ?? `not certified: ${digest}`,
        count,
      ]),
    ),
    sums: script.sums,
    figures: {
      rounds: leader.count((message) => message.type === "report" && message.metrics !== null),
      final: leader.count((message) => message.type === "final-report"),
    },
    came: {
      updates: leader.count(({ type }) => type === "update"),
      keyTests: leader.count(({ type }) => type === "key-tested"),
    },
    fogSecurity: leader.inbox.flatMap(({ from, message }) =>
      message.type === "security" ? [`${from.name}: ${message.code}`] : [],
    ),
    stopped,
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

await main(process.argv[process.argv.indexOf("--config") + 1] as string)
