import type { Study } from "@consilium/federation/study"
import { prepare, type RawRecords } from "@consilium/node/local-records"
import { seededRoundSecret } from "@consilium/node/roles/round-secrets"
import type { Row } from "./baselines.js"
import { trainDirectly } from "./direct-training.js"

/** What a study without noise reaches on the same patients, trained in this process from the rows that the demo has at hand. */
export const withoutNoise = (study: Study, records: ReadonlyMap<string, RawRecords>, seed: number): Row =>
  trainDirectly(
    study,
    [...records].map(([name, raw]) => ({ name, ...prepare(raw, study) })),
    (facility, round) => seededRoundSecret(study.name, seed, facility, round),
  ).metrics
