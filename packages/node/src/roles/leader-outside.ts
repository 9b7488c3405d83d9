import { systemRandom } from "@consilium/base/random"
import { startHealth } from "../api/health.js"
import { type ApiFile, tokenRules } from "../api/ports.js"
import { startApi } from "../api/start-api.js"
import { configuredStudy } from "./configured-study.js"
import type { LeaderOptions } from "./leader.js"
import { presetStudy } from "./presets.js"
import type { Closable } from "./role-options.js"

export interface LeaderOutside {
  readonly api: ApiFile
  /** Key and certificates of the API's listener, PEM; null where only this machine reaches it. */
  readonly tls: { readonly key: string; readonly cert: string } | null
  /** Folder of the built page; null serves none. */
  readonly page: string | null
  readonly narrate: (line: string) => void
}

/** Serves a leader's API, page and health on ports of their own. */
export const leaderOutside =
  ({ api: file, tls, page, narrate }: LeaderOutside): LeaderOptions["open"] =>
  async (service): Promise<Closable> => {
    const api = await startApi({
      service,
      presets: (kind) => {
        const studies = service.studies().map(({ study }) => study)
        const facilities = service.studies()[0]?.rosters()[0]?.facilities.length ?? 0
        if (typeof kind === "string") return presetStudy(kind, studies, facilities, systemRandom)
        const made = configuredStudy(kind, studies, facilities, systemRandom)
        return "missing" in made ? made : made.study
      },
      tokens: tokenRules(file),
      page,
      listen: { ...file.listen, tls },
      troubled: (error) => narrate(`the API failed at something: ${String(error)}`),
    })
    narrate(`the page and the API are at ${api.url}`)
    try {
      const health =
        file.health === null
          ? null
          : await startHealth({ service, metrics: api.metrics, listen: { ...file.health, tls: null } })
      return {
        async close() {
          await health?.close()
          await api.close()
        },
      }
    } catch (error) {
      await api.close()
      throw error
    }
  }
