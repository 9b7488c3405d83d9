import { connect } from "node:tls"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "@consilium/federation/roster"
import { parseAddress } from "../identity/names.js"
import { type TlsIdentity, tlsClientOptions } from "../identity/tls.js"

/**
 * Resolves when a participant that listens has answered over mutual TLS: both sides have then seen and accepted each
 * other's certificates, the other one's being that of the roster. Nothing is asked for.
 * @throws {ConsiliumError} "network/unreachable", "identity/wrong-peer", "identity/certificate-refused"
 */
export const reach = (
  { name, address, tlsKeyHash }: Pick<Participant, "name" | "address" | "tlsKeyHash">,
  identity: TlsIdentity,
  timeoutMs = 5_000,
): Promise<void> => {
  const { host, port } = parseAddress(address)
  return new Promise((resolve, reject) => {
    const unreachable = (why: string, cause?: unknown): ConsiliumError =>
      new ConsiliumError("network/unreachable", `${name} does not answer at ${address} (${why}).`, { cause })
    const socket = connect({ host, port, ...tlsClientOptions(identity, name, tlsKeyHash) })
    const end = (error?: Error): void => {
      clearTimeout(late)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const late = setTimeout(() => end(unreachable(`nothing in ${timeoutMs} ms`)), timeoutMs)
    // with TLS 1.3 a client is done before the server has looked at its certificate: only an answer shows that it has
    socket.once("secureConnect", () =>
      socket.write(`HEAD / HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`),
    )
    socket.once("data", () => end())
    socket.once("end", () => end(unreachable("it closed the connection")))
    socket.once("error", (error) => {
      const code = String((error as { code?: unknown }).code ?? "no reason given")
      if (error instanceof ConsiliumError) end(error)
      else if (/^ERR_SSL|CERT|UNABLE_TO_VERIFY|SELF_SIGNED/.test(code))
        end(
          new ConsiliumError(
            "identity/certificate-refused",
            `The connection to ${name} at ${address} was refused for a certificate's sake (${code}).`,
            { cause: error },
          ),
        )
      else end(unreachable(code, error))
    })
  })
}
