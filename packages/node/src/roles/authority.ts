import { dirname, join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { z } from "zod"
import { authorityCommands } from "../admin/authority-commands.js"
import { startAdmin } from "../admin/server.js"
import { authorityFileSchema, storageKeyOf } from "../config/role-files.js"
import { studyFileSchema, studyOf } from "../config/study-file.js"
import { readConfig } from "../config/yaml-file.js"
import { ActLog } from "../identity/acts.js"
import { type CertificateAuthority, openAuthority } from "../identity/ca.js"
import { makeCsr } from "../identity/csr.js"
import { startEnrolServer } from "../identity/enrol-server.js"
import type { Host } from "../identity/invitation.js"
import { loadOrCreateKeys } from "../identity/keys.js"
import { Registry } from "../identity/registry.js"
import { type TlsIdentity, tlsIdentity } from "../identity/tls.js"
import { lockFolder } from "../store/lock.js"
import { openSealed } from "./membership.js"

/** Each day the authority looks whether its own certificate should be made anew. */
const DAY = 86_400_000

/** An authority's locked folder, opened. */
export interface AuthorityFolder {
  readonly config: z.output<typeof authorityFileSchema>
  readonly folder: string
  readonly authority: CertificateAuthority
  readonly registry: Registry
  /** Number of participants that the study file names. */
  readonly expected: number
  /** The authority's own certificate, made anew. */
  identity(): Promise<TlsIdentity>
  /** What invitations need to know, where the authority listens on this port. */
  host(port: number): Host
  close(): Promise<void>
}

/** Locks and opens the folder of an authority, and does what a crash has left undone. */
export const openAuthorityFolder = async (
  configPath: string,
  narrate: (line: string) => void,
): Promise<AuthorityFolder> => {
  const config = await readConfig(authorityFileSchema, configPath)
  const local = dirname(resolve(configPath))
  const file = await readConfig(studyFileSchema, resolve(local, config.study))
  const study = studyOf(file)
  const folder = resolve(local, config.data_folder)
  const lock = await lockFolder(folder)
  let log: ActLog | undefined
  try {
    const files = await openSealed(folder, storageKeyOf(config.storage_key, configPath))
    const keys = await loadOrCreateKeys(files)
    const now = Date.now
    const authority = await openAuthority({ files, now })
    log = await ActLog.open(join(folder, "log"), authority.fingerprint, keys)
    const registry = await Registry.open({
      authority,
      keys,
      files,
      log,
      first: { study, participants: file.participants },
      validityDays: config.certificate_days,
      now,
      narrate,
    })
    if (registry.begun === "other-than-file")
      narrate(`${config.study} has changed since its roster was signed; the study that was signed goes on`)
    return {
      config,
      folder,
      authority,
      registry,
      expected: file.participants.length,
      async identity() {
        const certificate = await authority.issue({
          csr: makeCsr(config.name, keys.tlsKey),
          name: config.name,
          role: "authority",
          host: config.listen.host,
          validityDays: config.certificate_days,
        })
        return tlsIdentity(keys, { certificate, caCertificate: authority.certificate })
      },
      host: (port) => ({
        registry,
        name: config.name,
        study: study.name,
        listen: { host: config.listen.host, port },
        caFingerprint: authority.fingerprint,
        keys,
        now,
      }),
      async close() {
        await registry.close()
        await lock.close()
      },
    }
  } catch (error) {
    await log?.close()
    await lock.close()
    throw error
  }
}

/**
 * Runs the authority: it certifies the participants of the study file, each once by its kit, signs the roster when all
 * are there, and then goes on: with newcomers that it invites, facilities that leave, studies that the leader proposes,
 * and renewed certificates.
 */
export const runAuthority = async (
  configPath: string,
  narrate: (line: string) => void,
  stop: AbortSignal,
): Promise<void> => {
  const opened = await openAuthorityFolder(configPath, narrate)
  const { authority, config, expected, folder, registry } = opened
  const { host, port } = config.listen
  try {
    const server = await startEnrolServer({
      authority,
      identity: await opened.identity(),
      registry,
      now: Date.now,
      host,
      port,
      onRefused: ({ code, source }) => narrate(`security: ${code} from ${source}`),
      onFailed: (error) => narrate(`a request failed: ${textOf(error)}`),
    }).catch((cause) => {
      throw new ConsiliumError("network/port-taken", `The authority cannot listen on ${host}:${port}.`, {
        cause,
      })
    })
    const renewal = setInterval(() => {
      opened.identity().then(server.show, (error) => narrate(`no new certificate: ${textOf(error)}`))
    }, DAY)
    try {
      const admin = await startAdmin(folder, authorityCommands(opened.host(server.port)), {
        onFailed: (command, error) => narrate(`the command ${command} failed: ${textOf(error)}`),
      })
      try {
        narrate(`listening on port ${server.port} for ${expected} participants`)
        await new Promise<void>((done) => {
          if (stop.aborted) done()
          stop.addEventListener("abort", () => done(), { once: true })
        })
      } finally {
        await admin.close()
      }
    } finally {
      clearInterval(renewal)
      await server.close()
    }
  } finally {
    await opened.close()
  }
}

/** One line about an error, without where in the program it was. */
const textOf = (error: unknown): string =>
  error instanceof ConsiliumError
    ? `${error.code}: ${error.message}`
    : error instanceof Error
      ? `${error.name}: ${error.message}`
      : "unknown error"
