import { equalBytes } from "@consilium/base/bytes"
import { decode, f64Array } from "@consilium/base/encoding"
import { type ServerState, startServer } from "@consilium/learning/server-optimiser"
import { failure } from "./audit-failure.js"
import type { EvaluatedRound } from "./figures/evaluation.js"
import { evaluatedRounds, figuresOf, type OpenedFigures } from "./figures/opened-figures.js"
import { releaseCodec } from "./leader-release.js"
import { serverOptimiserOf } from "./leader-state.js"
import type { MessageOf, Proposal } from "./messages.js"
import { initialModel, modelHashOf, modelParameters, moveModel } from "./model.js"
import { meanUpdate } from "./opened-sum.js"
import { isFigures, type Purpose } from "./purpose.js"
import type { Directory } from "./roster.js"
import { baseHash, decodeBase, moveControl, type RoundBase, startControl } from "./round-base.js"
import { MAX_VALUES, parameterCount, type Study, valueBound } from "./study.js"

/** What a log's opened sums lead to: the model and what goes with it, figures, and which closed round's model is in use. */
export class AuditModel {
  readonly #study: Study
  #parameters: Float64Array
  #server: ServerState
  #control: RoundBase["control"]
  /** Statistics and evaluations as they were opened. */
  readonly #figures: OpenedFigures[] = []
  #certifiedRounds = 0
  /** The model that each round was closed with. */
  readonly #closed = new Map<number, Uint8Array>()
  /** The round of the last decision which model is in use. */
  #released: number | null = null

  constructor(study: Study) {
    this.#study = study
    this.#parameters = initialModel(study)
    this.#control = startControl(study)
    this.#server = startServer(serverOptimiserOf(study), parameterCount(study))
  }

  /** Parameter hash of the model so far. */
  get hash(): Uint8Array {
    return modelHashOf(this.#study, this.#parameters)
  }

  get certifiedRounds(): number {
    return this.#certifiedRounds
  }

  /** Sums that were opened in all: of rounds, of statistics and of evaluations. */
  get openedSums(): number {
    return this.#certifiedRounds + this.#figures.length
  }

  get closedRounds(): number {
    return this.#closed.size
  }

  get evaluated(): readonly EvaluatedRound[] {
    return evaluatedRounds(this.#study, this.#figures)
  }

  /** The closed round whose model is in use: the last, unless somebody released another; null before the first. */
  get inUse(): { readonly round: number; readonly model: Uint8Array } | null {
    const round = this.#released ?? this.#closed.size
    const model = this.#closed.get(round)
    return model === undefined ? null : { round, model }
  }

  /** Hash of what an attempt starts from: the model, and for updates the control variate where there is one. */
  base(purpose: Purpose): Uint8Array {
    const control = purpose === "update" ? this.#control : null
    return baseHash(this.#study, { parameters: this.#parameters, control })
  }

  /** Takes the sum over a certified list: the model moves by that of updates. */
  open(seq: number, { spec, cohort }: Proposal, { facilities }: Directory, body: Uint8Array): void {
    const study = this.#study
    const sum = decode(f64Array(MAX_VALUES), body)
    if (sum.some((value) => Math.abs(value) > cohort.length * valueBound(study)))
      throw failure(seq, "an opened sum is out of range")
    const { purpose, round, model } = spec
    if (isFigures(purpose)) {
      const members = cohort.map(({ facility }) => facility)
      this.#figures.push({ purpose, round, model, cohort: members, sum: figuresOf(study, purpose, sum) })
      return
    }
    const mean = meanUpdate(study, sum, cohort.length)
    const { parameters, state } = moveModel(study, this.#server, this.#parameters, mean)
    this.#control = moveControl(study, this.#control, mean, cohort.length, facilities.length)
    this.#parameters = parameters
    this.#server = state
    this.#certifiedRounds += 1
  }

  /** Takes the end of an attempt with an opened sum. */
  close(seq: number, { purpose, round }: Proposal["spec"], accepted: Uint8Array): void {
    if (!equalBytes(accepted, this.hash))
      throw failure(seq, "a round was closed with another model than the opened sum leads to")
    if (purpose === "update") this.#closed.set(round, accepted)
  }

  /** Takes a person's decision which model is in use. */
  release(seq: number, body: Uint8Array): void {
    const { round, model } = decode(releaseCodec, body)
    const closed = this.#closed.get(round)
    if (closed === undefined) throw failure(seq, `a model of round ${round} is released, which is not closed`)
    if (!equalBytes(model, closed))
      throw failure(seq, `another model is released than the one that round ${round} was closed with`)
    this.#released = round
  }

  checkFile(seq: number, type: string, file: Uint8Array): void {
    const parameters = modelParameters(this.#study, file)
    if (!equalBytes(modelHashOf(this.#study, parameters), this.hash))
      throw failure(seq, `the model of the ${type} is not the one that the opened sums lead to`)
  }

  checkAnnounced(seq: number, { spec, model }: MessageOf<"announce">): void {
    const base = decodeBase(this.#study, spec.purpose, model)
    if (!equalBytes(modelHashOf(this.#study, base.parameters), this.hash))
      throw failure(seq, "the model of the announce is not the one that the opened sums lead to")
    if (!equalBytes(baseHash(this.#study, base), this.base(spec.purpose)))
      throw failure(seq, "the control variate of an announce is not the one that the opened sums lead to")
  }
}
