import { systemRandom } from "@consilium/base/random"
import { startHealth } from "../api/health.js"
import type { LeaderService } from "../api/leader-service.js"
import { type ApiFile, tokenRules } from "../api/ports.js"
import { type StartApiOptions, startApi } from "../api/start-api.js"
import { askingRate, inferenceApi } from "../inference/inference-api.js"
import type { InferenceFile } from "../inference/inference-file.js"
import { INFERENCE_ROUTES } from "../inference/inference-routes.js"
import { INFERENCE_RULES, InferenceService } from "../inference/inference-service.js"
import { StudyModels } from "../inference/study-models.js"
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
  /** Which models are offered to those who ask about encrypted patients. */
  readonly inference: InferenceFile
  /** Where the keys and budgets of those who ask are remembered. */
  readonly askingFolder: string
  readonly narrate: (line: string) => void
}

/** The finished studies' models, offered as the leader's configuration says; null for none. */
const modelsFor = async (
  service: LeaderService,
  { inference, askingFolder, api: file, narrate }: LeaderOutside,
): Promise<{ readonly open: NonNullable<StartApiOptions["beside"]>; close(): Promise<void> } | null> => {
  if (inference.offer === "none") return null
  const models = await InferenceService.open({
    folder: askingFolder,
    rules: {
      ...INFERENCE_RULES,
      answersPerAsker: inference.answers_per_asker,
      threads: inference.threads,
    },
  })
  let studies: StudyModels | null = null
  return {
    open: ({ views, metrics }) => {
      studies = new StudyModels({
        service,
        views,
        shelf: models.shelf,
        rules: { weights: inference.weights, largestEpsilon: inference.largest_epsilon },
        narrate,
      })
      const plugin = inferenceApi({
        service: models,
        tokens: tokenRules(file.tokens),
        loopback: true,
        origins: inference.allowed_origins,
        rate: askingRate(inference.requests_per_second),
        answered: (route, status) => metrics.answered(route, status),
        troubled: (error) => narrate(`asking a model failed at something: ${String(error)}`),
      })
      return { routes: INFERENCE_ROUTES, plugin }
    },
    async close() {
      await studies?.close()
      await models.close()
    },
  }
}

/** Serves a leader's API, page, models and health on ports of their own. */
export const leaderOutside =
  (options: LeaderOutside): LeaderOptions["open"] =>
  async (service): Promise<Closable> => {
    const { api: file, inference, tls, page, narrate } = options
    const models = await modelsFor(service, options)
    const opened: Closable[] = models === null ? [] : [models]
    const close = async (): Promise<void> => {
      for (const one of opened.splice(0).reverse()) await one.close()
    }
    try {
      const api = await startApi({
        service,
        presets: (kind) => {
          const studies = service.studies().map(({ study }) => study)
          const facilities = service.studies()[0]?.rosters()[0]?.facilities.length ?? 0
          if (typeof kind === "string") return presetStudy(kind, studies, facilities, systemRandom)
          const made = configuredStudy(kind, studies, facilities, systemRandom)
          return "missing" in made ? made : made.study
        },
        tokens: tokenRules(file.tokens),
        page,
        pageServers: inference.page_servers,
        listen: { ...file.listen, tls },
        ...(models && { beside: models.open }),
        troubled: (error) => narrate(`the API failed at something: ${String(error)}`),
      })
      opened.push(api)
      narrate(`the page and the API are at ${api.url}`)
      if (file.health !== null)
        opened.push(
          await startHealth({ service, metrics: api.metrics, listen: { ...file.health, tls: null } }),
        )
      return { close }
    } catch (error) {
      await close()
      throw error
    }
  }
