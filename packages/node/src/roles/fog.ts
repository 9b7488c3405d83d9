import { z } from "zod"
import { type AdminCommands, adminCommand } from "../admin/server.js"
import { ChildTraffic } from "./child-traffic.js"
import { drainChildren } from "./drain-children.js"
import { FogMachine } from "./fog-machine.js"
import { type Closable, contextOf, parentOf, type RoleOptions } from "./role-options.js"
import { whenStopped } from "./stopping.js"
import { StudyHost } from "./study-host.js"

/** Runs a fog until all its studies are over. */
export const runFog = async (options: RoleOptions): Promise<void> => {
  const { membership, stores, edges, admin: openAdmin, narrate, stop, probe } = options
  const stopped = new Promise<void>((resolve) => whenStopped(stop, resolve))
  const traffic = new ChildTraffic<FogMachine>(edges, parentOf(membership), stop, (up, detail) =>
    narrate(up ? "the leader answers again" : `the leader does not answer: ${detail}`),
  )
  const host = new StudyHost<FogMachine>({
    membership,
    stores,
    narrate,
    probe,
    machine: (member, snapshot) =>
      new FogMachine(contextOf(membership, member), member.signedRoster, snapshot),
    adopted: (hosted) => traffic.carry(hosted, () => drainChildren(hosted.runner, membership.me, stop)),
  })
  await host.resume()
  await host.adopt(membership.signedRoster)
  const server = await edges.serve(() => host.studies.map(({ runner }) => runner))
  let admin: Closable | null = null
  try {
    admin = await openAdmin(fogCommands(host, membership.me.name))
    await traffic.run(host, stopped)
  } finally {
    host.stop()
    traffic.close()
    await admin?.close()
    await server.close()
  }
}

/** What a running fog can be asked for, by a person who may use its data folder. */
const fogCommands = (host: StudyHost<FogMachine>, name: string): AdminCommands => ({
  status: adminCommand(z.strictObject({}), () => ({
    name,
    studies: host.studies.map(({ study, runner, machine }) => ({
      id: runner.id,
      name: study.name,
      over: runner.over,
      roster: machine.directory.roster.version,
      facilities: machine.directory
        .childrenOf(machine.directory.named(name).id)
        .map((child) => child.name)
        .sort(),
      log: { events: runner.head.seq },
    })),
  })),
})
