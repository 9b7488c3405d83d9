import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client"
import type { LeaderService } from "./leader-service.js"
import type { RoundPhase, StudyView } from "./study-view.js"
import type { StudyViews } from "./study-views.js"

const STATES: readonly StudyView["state"][] = ["waiting", "running", "complete", "aborted"]

/** What the leader counts of itself. Names of studies and facilities, figures on patients and secrets are not among it. */
export class ApiMetrics {
  readonly #registry = new Registry()
  readonly #requests: Counter<"route" | "status">
  /** Streams of server-sent events that are open. */
  streams: () => number = () => 0

  constructor(service: LeaderService, views: StudyViews) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#requests = new Counter({
      name: "consilium_http_requests_total",
      help: "Requests that were answered, by route and status.",
      labelNames: ["route", "status"],
      registers,
    })
    const open = (): number => this.streams()
    new Gauge({
      name: "consilium_event_streams",
      help: "Streams of server-sent events that are open.",
      registers,
      collect() {
        this.set(open())
      },
    })
    new Gauge({
      name: "consilium_studies",
      help: "Studies of this leader, by state.",
      labelNames: ["state"],
      registers,
      async collect() {
        const states = await Promise.all(service.studies().map(async (one) => (await views.of(one)).state))
        for (const state of STATES) this.set({ state }, states.filter((one) => one === state).length)
      },
    })
    const perStudy = (name: string, help: string, count: (view: StudyView) => number): void => {
      new Gauge({
        name,
        help,
        labelNames: ["study"],
        registers,
        async collect() {
          for (const handle of service.studies()) {
            const view = await views.of(handle)
            this.set({ study: view.id.slice(0, 16) }, count(view))
          }
        },
      })
    }
    const rounds = (view: StudyView, phase: RoundPhase): number =>
      view.rounds.filter((round) => round.phase === phase).length
    perStudy("consilium_log_events", "Events in a study's log.", (view) => view.log.events)
    perStudy("consilium_rounds_closed", "Rounds that led to a new model.", (view) => rounds(view, "closed"))
    perStudy("consilium_attempts_void", "Attempts at rounds without a sum.", (view) => rounds(view, "void"))
    perStudy("consilium_security_events", "Events that must not happen.", (view) => view.security.length)
  }

  /** Counts an answer. */
  answered(route: string, status: number): void {
    this.#requests.inc({ route, status: String(status) })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async text(): Promise<string> {
    return this.#registry.metrics()
  }
}
