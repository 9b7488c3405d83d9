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
import { type Charge, releaseOf } from "@consilium/federation/charge"
import { startFacility, stepFacility } from "@consilium/federation/facility"
import { decodeFacility, encodeFacility } from "@consilium/federation/facility-snapshot"
import type {
  FacilityContext,
  FacilityEffect,
  FacilityEvent,
  FacilityState,
} from "@consilium/federation/facility-state"
import { countFigures } from "@consilium/federation/figures/count-figures"
import { type LedgerEntry, ledgerEntryCodec, ledgerPlaceCodec } from "@consilium/federation/ledger-chain"
import {
  listOfWitness,
  type Witness,
  witnessCodec,
  witnessOfList,
} from "@consilium/federation/ledger-witness"
import {
  afterCharged,
  afterCounted,
  type LocalState,
  localStateCodec,
  startLocalState,
} from "@consilium/federation/local-state"
import { cosignedHeadCodec, metricsCodec, type RoundSpec } from "@consilium/federation/messages"
import type { Preparation, Refusal } from "@consilium/federation/policy"
import { isPrivate } from "@consilium/federation/privacy-plan"
import type { Purpose } from "@consilium/federation/purpose"
import { subgroupReportCodec } from "@consilium/federation/reporting"
import { type Directory, openRoster, signedRosterBytes } from "@consilium/federation/roster"
import type { RoundBase } from "@consilium/federation/round-base"
import { MAX_VALUES, studyDigest } from "@consilium/federation/study"
import { measureSubgroups } from "@consilium/federation/subgroup-figures"
import { eraseKeys } from "@consilium/federation/sums/facility/epoch-keys"
import { measure, personalModel, trainRound } from "@consilium/federation/training"
import type { Examples } from "@consilium/learning/data"
import type { LabelledRows } from "@consilium/records/rows"
import { newWarnings } from "../ledger-outlook.js"
import type { OwnEvent } from "../own-event.js"
import {
  CHARGED,
  encodeCharge,
  LEDGER_RESET,
  LEDGER_SHOWN,
  type PrivacyLedger,
  shownHeadsCodec,
} from "../privacy-ledger.js"
import type { Input, Reaction, RoleMachine, Work } from "./machine.js"
import { ownEvents } from "./own-events.js"
import type { RoundSecrets } from "./round-secrets.js"

/** A facility's records, prepared: rows to train on and rows held out, each patient on one side. */
export interface LocalRecords {
  readonly featureNames: readonly string[]
  readonly train: Examples
  readonly holdOut: Examples
  /** The same rows as `train`, in the same order, in the units of the records: to count. */
  readonly trainRaw: LabelledRows
  /** The same rows as `holdOut`, in the same order, in the units of the records: to tell groups of patients apart. */
  readonly holdOutRaw: LabelledRows
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
    local: localStateCodec,
  }),
  drawn: record({ spec: fixedBytes(32), secret: fixedBytes(32) }),
  "training-failed": record({ spec: fixedBytes(32), code: text(64), reason: text(4096) }),
  measured: record({ spec: fixedBytes(32), metrics: metricsCodec }),
  finished: record({
    global: nullable(metricsCodec),
    personal: nullable(metricsCodec),
    subgroups: nullable(subgroupReportCodec),
  }),
  decision: record({ approved: bool, by: text(128) }),
  entered: record({ spec: fixedBytes(32), place: ledgerPlaceCodec }),
  "ask-ledger": record({ nonce: fixedBytes(32) }),
  "seen-elsewhere": record({ witness: witnessCodec }),
  "new-beginning": record({ entry: ledgerEntryCodec }),
})

const snapshotCodec = record({
  roster: signedRosterBytes,
  local: localStateCodec,
  facility: bytes(64 << 20),
})

/** What a person at the facility decided about a study. */
export const decision = (approved: boolean, by: string): Uint8Array =>
  encode(localCodec, { type: "decision", approved, by })

const ASKED: Work = {
  type: "tell",
  line: "privacy: asked the leader what it has seen of this facility's ledger; nothing is spent before it answers",
}

/** The leader is to be asked what it knows of this facility's ledger. */
export const askLedger = (nonce: Uint8Array): Uint8Array => encode(localCodec, { type: "ask-ledger", nonce })

/** What was seen of others' ledgers in another study. */
export const seenElsewhere = (witness: Witness): Uint8Array =>
  encode(localCodec, { type: "seen-elsewhere", witness: listOfWitness(witness) })

/** A person's decision that the ledger begins anew. */
export const newBeginning = (entry: LedgerEntry): Uint8Array =>
  encode(localCodec, { type: "new-beginning", entry })

/** A facility in one study: its machine, and the work on its records that the machine asks for. */
export class FacilityMachine implements RoleMachine {
  readonly #context: FacilityContext
  readonly #records: LocalRecords
  readonly #secrets: RoundSecrets
  readonly #ledger: PrivacyLedger
  readonly #id: string
  #state: FacilityState
  #local: LocalState = startLocalState()
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
    const { roster, local, facility } = decode(snapshotCodec, snapshot)
    this.#signedRoster = roster
    this.#local = local
    this.#state = decodeFacility(
      facility,
      context,
      openRoster(context.suite, context.authorityKey, roster).directory,
    )
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
    const { trained, counted, last } = this.#state.memory
    if (trained !== null && !trained.charged) await this.#reserve("update")
    else if (counted !== null && !counted.charged) await this.#reserve(last.purpose)
  }

  snapshot(): Uint8Array | null {
    const facility = encodeFacility(this.#state)
    if (facility === null) return null
    return encode(snapshotCodec, { roster: this.#signedRoster, local: this.#local, facility })
  }

  answers(event: Uint8Array): string | null {
    const local = decode(localCodec, event)
    switch (local.type) {
      case "trained":
      case "training-failed":
      case "entered":
        return taskName("train", local.spec)
      case "drawn":
        return taskName("draw", local.spec)
      case "measured":
        return taskName("measure", local.spec)
      case "finished":
        return "finish"
      case "decision":
      case "ask-ledger":
      case "seen-elsewhere":
      case "new-beginning":
        return null
    }
  }

  react(input: Input, at: number): Reaction {
    const event = this.#eventOf(input, at)
    if (event === null) return { sends: [], entries: [], work: [] }
    if (event.type === "new-beginning") return this.#beginAnew(event.entry, at)
    const { directory: before, keys } = this.#state.memory
    const step = stepFacility(this.#context, this.#state, event)
    this.#state = step.state
    if (keys !== null && step.state.memory.keys?.epoch !== keys.epoch) eraseKeys(keys)
    if (event.type === "training-failed") this.#ledger.release(this.#id)
    for (const effect of step.effects)
      if (effect.type === "charge") this.#charged(effect.charge, at)
      else if (effect.type === "ledger-shown") this.#ledger.noteShown(this.#id, effect.nonce, effect.heads)
      else if (effect.type === "counted") this.#local = afterCounted(this.#local, effect.base)
      else if (effect.type === "ended") this.#ledger.leave(this.#id)
    if (event.type === "message" && event.message.type === "roster" && this.directory !== before)
      this.#signedRoster = event.message.signed
    return {
      sends: step.effects.flatMap((effect) =>
        effect.type === "send" ? [{ to: effect.to, message: effect.message }] : [],
      ),
      entries: [
        ...step.effects.flatMap((effect) => this.#ledgerEntryOf(effect)),
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
      work: [
        ...(event.type === "ask-ledger" && step.effects.length > 0 ? [ASKED] : []),
        ...step.effects.flatMap((effect) => this.#workOf(effect)),
        // once this is saved the next study may have its place in the ledger
        ...(event.type === "entered" || this.#state.phase === "ended" ? [this.#settled()] : []),
      ],
    }
  }

  #settled(): Work {
    return { type: "act", run: async () => this.#ledger.settled(this.#id) }
  }

  #ledgerEntryOf(effect: FacilityEffect): readonly OwnEvent[] {
    const actor = this.#context.me.id
    if (effect.type === "charge") return [{ type: CHARGED, actor, body: encodeCharge(effect.charge) }]
    if (effect.type !== "ledger-shown" || effect.heads.length === 0) return []
    return [{ type: LEDGER_SHOWN, actor, body: encode(shownHeadsCodec, effect.heads) }]
  }

  #beginAnew(entry: LedgerEntry, at: number): Reaction {
    this.#ledger.noteBeginning(entry, at)
    const by = entry.what.type === "reset" ? entry.what.by : ""
    return {
      sends: [],
      entries: [{ type: LEDGER_RESET, actor: this.#context.me.id, body: encode(ledgerEntryCodec, entry) }],
      work: [
        {
          type: "tell",
          line: `privacy: ${by} started this facility's ledger anew; all of ${entry.place.month} counts as spent`,
        },
        this.#settled(),
      ],
    }
  }

  #eventOf(
    input: Input,
    at: number,
  ): FacilityEvent | { readonly type: "new-beginning"; readonly entry: LedgerEntry } | null {
    switch (input.type) {
      case "message":
        return { type: "message", at, from: input.from, message: input.message }
      case "passing":
        return null
      case "refused":
        return input
      case "local": {
        const local = decode(localCodec, input.event)
        if (local.type === "drawn") return { ...local, secret: new SecretKey(local.secret) }
        if (local.type === "seen-elsewhere") return { ...local, witness: witnessOfList(local.witness) }
        if (local.type !== "trained") return local
        this.#local = local.local
        return { ...local, secret: new SecretKey(local.secret) }
      }
    }
  }

  #workOf(effect: FacilityEffect): readonly Work[] {
    switch (effect.type) {
      case "send":
      case "cosigned":
      case "counted":
        return []
      case "train": {
        const { spec, digest, parameters, control } = effect
        return [
          {
            type: "task",
            name: taskName("train", digest),
            run: () => this.#train(spec, digest, { parameters, control }),
          },
        ]
      }
      case "count": {
        const { spec, digest, parameters } = effect
        return [
          {
            type: "task",
            name: taskName("train", digest),
            run: () => this.#count(spec, digest, parameters),
          },
        ]
      }
      case "draw-secret": {
        const { digest, epoch } = effect
        return [
          {
            type: "task",
            name: taskName("draw", digest),
            run: async () =>
              encode(localCodec, {
                type: "drawn",
                spec: digest,
                secret: this.#secrets.ofEpoch(epoch).expose(),
              }),
          },
        ]
      }
      // the record begins anew without what the keys were dealt from
      case "forget-keys":
        return [{ type: "checkpoint" }]
      case "enter":
        return [
          {
            type: "task",
            name: taskName("train", effect.digest),
            run: () => this.#enter(effect.digest, effect.purpose),
          },
        ]
      case "ledger-shown":
        return []
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
          ...this.#warnings(round),
        ]
      }
    }
  }

  #charged(charge: Charge, at: number): void {
    this.#ledger.note(this.#id, charge, at)
    if (charge.purpose === "update") this.#local = afterCharged(this.#local, charge.model)
  }

  /** What nobody was told yet of budgets that are nearly used up. */
  #warnings(round: number): readonly Work[] {
    const { study, policy } = this.#context
    if (!isPrivate(study)) return []
    return newWarnings(this.#ledger, policy, [{ study, round }]).map((says) => ({
      type: "tell",
      line: `privacy: ${says}`,
    }))
  }

  /** Sets aside the cost of what is sent next for a purpose, if it costs anything and the month has room. */
  async #reserve(purpose: Purpose): Promise<Refusal | null> {
    const { study } = this.#context
    if (!isPrivate(study)) return null
    const { event, times } = releaseOf(study, { purpose })
    return this.#ledger.reserve(this.#id, event, times)
  }

  /** Why this study may spend nothing now: the ledger is not whole, or the month has no room. Sets the cost aside if it may. */
  async #admission(purpose: Purpose): Promise<Refusal | null> {
    if (!isPrivate(this.#context.study)) return null
    return (await this.#ledger.admission(this.#id)) ?? (await this.#reserve(purpose))
  }

  /** A place in the ledger for what was trained. */
  async #enter(spec: Uint8Array, purpose: Purpose): Promise<Uint8Array> {
    const refusal = await this.#admission(purpose)
    if (refusal !== null) return encode(localCodec, { type: "training-failed", spec, ...refusal })
    return encode(localCodec, { type: "entered", spec, place: await this.#ledger.place(this.#id) })
  }

  async #train(spec: RoundSpec, digest: Uint8Array, { parameters, control }: RoundBase): Promise<Uint8Array> {
    const { study } = this.#context
    const { train: examples, patients } = this.#records
    return this.#made(spec, digest, (secret) =>
      trainRound({
        study,
        spec,
        parameters,
        common: control,
        examples,
        patients,
        local: this.#local,
        secret,
      }),
    )
  }

  /** Figures of this facility's patients, as its part in those of all. */
  async #count(spec: RoundSpec, digest: Uint8Array, parameters: Float64Array): Promise<Uint8Array> {
    const { study } = this.#context
    const { trainRaw: train, holdOut, holdOutRaw } = this.#records
    const holdOutPatients = holdOutRaw.patients
    return this.#made(spec, digest, (secret) => ({
      values: countFigures({ study, spec, parameters, train, holdOut, holdOutPatients, secret }),
      local: this.#local,
    }))
  }

  /** What comes of work on the records for an attempt, if the ledger admits it. */
  async #made(
    spec: RoundSpec,
    digest: Uint8Array,
    work: (secret: SecretKey) => { readonly values: Int32Array; readonly local: LocalState },
  ): Promise<Uint8Array> {
    const refusal = await this.#admission(spec.purpose)
    if (refusal !== null) return encode(localCodec, { type: "training-failed", spec: digest, ...refusal })
    const secret = await this.#secrets.of(spec.round)
    try {
      const { values, local } = work(secret)
      return encode(localCodec, { type: "trained", spec: digest, values, secret: secret.expose(), local })
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

  /** Measures the last model, and this facility's own, which stays here. */
  async #finish(effect: Extract<FacilityEffect, { type: "finish" }>): Promise<Uint8Array> {
    const { study } = this.#context
    const { round, parameters, model, metrics } = effect
    const { train, holdOut, holdOutRaw } = this.#records
    const secret = await this.#secrets.of(round)
    const own = personalModel({
      study,
      spec: { round, attempt: 1, model },
      parameters,
      examples: train,
      local: this.#local,
      secret,
    })
    return encode(localCodec, {
      type: "finished",
      global: metrics ? measure(study, parameters, holdOut) : null,
      personal: own === null || !metrics ? null : measure(study, own, holdOut),
      subgroups: metrics ? measureSubgroups(study, parameters, holdOut, holdOutRaw) : null,
    })
  }
}

const taskName = (task: string, spec: Uint8Array): string => `${task}/${toHex(spec)}`
