import { toHex } from "@consilium/base/bytes"
import {
  bool,
  bytes,
  decode,
  encode,
  fixedBytes,
  i32Array,
  nullable,
  record,
  text,
  variant,
} from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { SecretKey } from "@consilium/base/random"
import { startFacility, stepFacility } from "@consilium/federation/facility"
import { decodeFacility, encodeFacility } from "@consilium/federation/facility-snapshot"
import type {
  FacilityContext,
  FacilityEffect,
  FacilityEvent,
  FacilityState,
} from "@consilium/federation/facility-state"
import { cosignedHeadCodec, metricsCodec, type RoundSpec } from "@consilium/federation/messages"
import type { Preparation, Refusal } from "@consilium/federation/policy"
import { isPrivate, stepEvent } from "@consilium/federation/privacy-plan"
import { type Directory, openRoster, signedRosterBytes } from "@consilium/federation/roster"
import { MAX_VALUES, studyDigest } from "@consilium/federation/study"
import { fineTune, measure, trainRound } from "@consilium/federation/training"
import { type BatchCursor, batchCursorCodec, startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { CHARGED, encodeCharge, type PrivacyLedger } from "../privacy-ledger.js"
import type { Input, Reaction, RoleMachine, Work } from "./machine.js"
import { ownEvents } from "./own-events.js"
import type { RoundSecrets } from "./round-secrets.js"

/** A facility's records, prepared: rows to train on and rows held out, each patient on one side. */
export interface LocalRecords {
  readonly featureNames: readonly string[]
  readonly train: Examples
  readonly holdOut: Examples
  /** Whose each training row is. */
  readonly patients: Uint32Array
  /** What both sides were scaled with. */
  readonly preparation: Preparation
}

const localCodec = variant({
  trained: record({
    spec: fixedBytes(32),
    values: i32Array(MAX_VALUES),
    secret: fixedBytes(32),
    cursor: batchCursorCodec,
  }),
  "training-failed": record({ spec: fixedBytes(32), code: text(64), reason: text(4096) }),
  measured: record({ spec: fixedBytes(32), metrics: metricsCodec }),
  finished: record({ global: nullable(metricsCodec), personal: nullable(metricsCodec) }),
  decision: record({ approved: bool, by: text(128) }),
})

const snapshotCodec = record({
  roster: signedRosterBytes,
  cursor: batchCursorCodec,
  facility: bytes(64 << 20),
})

/** What a person at the facility decided about a study. */
export const decision = (approved: boolean, by: string): Uint8Array =>
  encode(localCodec, { type: "decision", approved, by })

/** A facility in one study: its machine, and the work on its records that the machine asks for. */
export class FacilityMachine implements RoleMachine {
  readonly #context: FacilityContext
  readonly #records: LocalRecords
  readonly #secrets: RoundSecrets
  readonly #ledger: PrivacyLedger
  readonly #id: string
  #state: FacilityState
  #cursor: BatchCursor = startCursor()
  #signedRoster: Uint8Array

  constructor(
    context: FacilityContext,
    records: LocalRecords,
    secrets: RoundSecrets,
    ledger: PrivacyLedger,
    signedRoster: Uint8Array,
    snapshot: Uint8Array | null,
  ) {
    this.#context = { ...context, preparation: records.preparation }
    this.#records = records
    this.#secrets = secrets
    this.#ledger = ledger
    this.#id = toHex(studyDigest(context.study))
    this.#signedRoster = signedRoster
    this.#state = startFacility(context)
    if (snapshot === null) return
    const { roster, cursor, facility } = decode(snapshotCodec, snapshot)
    this.#signedRoster = roster
    this.#cursor = cursor
    this.#state = decodeFacility(facility, openRoster(context.suite, context.authorityKey, roster).directory)
  }

  get directory(): Directory {
    return this.#state.memory.directory
  }
  get signedRoster(): Uint8Array {
    return this.#signedRoster
  }
  get state(): FacilityState {
    return this.#state
  }

  /** Erases the secrets of rounds that are over: a crash may have come before that. */
  async forgetUnneeded(): Promise<void> {
    const { phase, memory } = this.#state
    if (phase === "idle" && memory.trained === null) await this.#secrets.forgetAll()
  }

  /** Sets aside again what integers would cost that were made before a crash and not sent yet. */
  async reserveUnsent(): Promise<void> {
    const { trained } = this.#state.memory
    if (trained !== null && !trained.charged) await this.#reserve()
  }

  snapshot(): Uint8Array | null {
    const facility = encodeFacility(this.#state)
    if (facility === null) return null
    return encode(snapshotCodec, { roster: this.#signedRoster, cursor: this.#cursor, facility })
  }

  answers(event: Uint8Array): string | null {
    const local = decode(localCodec, event)
    switch (local.type) {
      case "trained":
      case "training-failed":
        return taskName("train", local.spec)
      case "measured":
        return taskName("measure", local.spec)
      case "finished":
        return "finish"
      case "decision":
        return null
    }
  }

  react(input: Input, at: number): Reaction {
    const event = this.#eventOf(input, at)
    if (event === null) return { sends: [], entries: [], work: [] }
    const before = this.#state.memory.directory
    const step = stepFacility(this.#context, this.#state, event)
    this.#state = step.state
    if (event.type === "training-failed") this.#ledger.release(this.#id)
    for (const effect of step.effects)
      if (effect.type === "charge") this.#ledger.note(this.#id, at, effect.charge)
    if (event.type === "message" && event.message.type === "roster" && this.directory !== before)
      this.#signedRoster = event.message.signed
    return {
      sends: step.effects.flatMap((effect) =>
        effect.type === "send" ? [{ to: effect.to, message: effect.message }] : [],
      ),
      entries: [
        ...step.effects.flatMap((effect) =>
          effect.type === "charge"
            ? [{ type: CHARGED, actor: this.#context.me.id, body: encodeCharge(effect.charge) }]
            : [],
        ),
        ...ownEvents(this.#context.me.id, step.effects),
        ...step.effects.flatMap((effect) =>
          effect.type === "cosigned"
            ? [
                {
                  type: "cosigned-head",
                  actor: this.directory.leader.id,
                  body: encode(cosignedHeadCodec, effect.head),
                },
              ]
            : [],
        ),
      ],
      work: step.effects.flatMap((effect) => this.#workOf(effect)),
    }
  }

  #eventOf(input: Input, at: number): FacilityEvent | null {
    switch (input.type) {
      case "message":
        return { type: "message", at, from: input.from, message: input.message }
      case "passing":
        return null
      case "refused":
        return input
      case "local": {
        const local = decode(localCodec, input.event)
        if (local.type !== "trained") return local
        this.#cursor = local.cursor
        return { ...local, secret: new SecretKey(local.secret) }
      }
    }
  }

  #workOf(effect: FacilityEffect): readonly Work[] {
    switch (effect.type) {
      case "send":
      case "cosigned":
        return []
      case "train": {
        const { spec, digest, parameters } = effect
        return [
          {
            type: "task",
            name: taskName("train", digest),
            run: () => this.#train(spec, digest, parameters),
          },
        ]
      }
      case "measure": {
        const { spec, parameters } = effect
        return [
          {
            type: "task",
            name: taskName("measure", spec),
            run: async () =>
              encode(localCodec, {
                type: "measured",
                spec,
                metrics: measure(this.#context.study, parameters, this.#records.holdOut),
              }),
          },
        ]
      }
      case "finish":
        return [{ type: "task", name: "finish", run: () => this.#finish(effect) }]
      case "forget-secret":
        return [{ type: "act", run: () => this.#secrets.forget(effect.round) }, { type: "checkpoint" }]
      case "ended":
        this.#ledger.release(this.#id)
        return [
          { type: "act", run: () => this.#secrets.forgetAll() },
          { type: "checkpoint" },
          { type: "ended", reason: effect.reason },
        ]
      case "security":
        return [{ type: "tell", line: `security: ${effect.code}: ${effect.detail}` }]
      case "record":
        return [{ type: "tell", line: `${effect.event}: ${effect.detail}` }]
      case "charge": {
        const { round, epsilon, delta, insecureSeed } = effect.charge
        const mark = insecureSeed ? "; insecure-seed, so it protects nobody" : ""
        return [
          {
            type: "tell",
            line: `privacy: with round ${round} this study has spent epsilon ${epsilon.toFixed(2)} (delta ${delta})${mark}`,
          },
        ]
      }
    }
  }

  /** Sets aside what the next update of this study costs, if it costs anything and the month has room. */
  async #reserve(): Promise<Refusal | null> {
    const { study } = this.#context
    if (!isPrivate(study)) return null
    return this.#ledger.reserve(this.#id, Date.now(), stepEvent(study), study.training.steps)
  }

  async #train(spec: RoundSpec, digest: Uint8Array, parameters: Float64Array): Promise<Uint8Array> {
    const { study } = this.#context
    const refusal = await this.#reserve()
    if (refusal !== null) return encode(localCodec, { type: "training-failed", spec: digest, ...refusal })
    const secret = await this.#secrets.of(spec.round)
    try {
      const { values, cursor } = trainRound({
        study,
        spec,
        parameters,
        examples: this.#records.train,
        patients: this.#records.patients,
        cursor: this.#cursor,
        secret,
      })
      return encode(localCodec, { type: "trained", spec: digest, values, secret: secret.expose(), cursor })
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      const { code, message } = error
      return encode(localCodec, {
        type: "training-failed",
        spec: digest,
        code,
        reason: [...message].slice(0, 1000).join(""),
      })
    }
  }

  /** Measures the last model, and this facility's own copy of it after further steps, which stays here. */
  async #finish(effect: Extract<FacilityEffect, { type: "finish" }>): Promise<Uint8Array> {
    const { study } = this.#context
    const { round, parameters, model, metrics } = effect
    const { train, holdOut } = this.#records
    const secret = await this.#secrets.of(round)
    const own =
      study.training.fineTuneSteps === 0
        ? null
        : fineTune({
            study,
            spec: { round, attempt: 1, model },
            parameters,
            examples: train,
            cursor: this.#cursor,
            secret,
          })
    return encode(localCodec, {
      type: "finished",
      global: metrics ? measure(study, parameters, holdOut) : null,
      personal: own === null || !metrics ? null : measure(study, own, holdOut),
    })
  }
}

const taskName = (task: string, spec: Uint8Array): string => `${task}/${toHex(spec)}`
