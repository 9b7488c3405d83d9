import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "@consilium/federation/roster"
import type { TlsIdentity } from "../identity/tls.js"
import type { ReservedAddress } from "./address.js"
import type { Edges } from "./edge-link.js"
import { ParentLink } from "./parent-link.js"

/** Edges over mutual TLS. A role that only calls out loads no server. */
export const tlsEdges = (participant: {
  readonly me: Participant
  readonly identity: TlsIdentity
  /** Its data folder, for large parcels on their way up. */
  readonly folder: string
  /** Present where it listens. */
  readonly address: ReservedAddress | null
}): Edges => {
  const { me, identity, folder, address } = participant
  return {
    link: (parent, onConnection) => new ParentLink({ identity, parent, onConnection }),
    async serve(studies) {
      const { ParentServer } = await import("./parent-server.js")
      const uploads = join(folder, "uploads")
      return ParentServer.start({ me, identity, address: bound(me, address), uploads, studies })
    },
  }
}

const bound = ({ name }: Participant, address: ReservedAddress | null): ReservedAddress => {
  if (address === null) throw new ConsiliumError("config/invalid", `${name} has no address to listen on.`)
  return address
}
