import type { RoundSpec } from "../src/messages.js"
import { specDigest } from "../src/messages.js"
import { type Directory, participantId } from "../src/roster.js"
import type { Study } from "../src/study.js"
import type { EpochKeys } from "../src/sums/facility/epoch-keys.js"
import type { OwnSide } from "../src/sums/facility/facility-scheme.js"
import type { SumSetting } from "../src/sums/secure-sum.js"
import { keysFor, suite } from "./members.js"

/** What the parties to the sum of one attempt agree on. */
export const settingOf = (study: Study, directory: Directory, spec: RoundSpec): SumSetting => ({
  study,
  directory,
  spec: specDigest(spec),
  epoch: spec.epoch,
  attempt: spec.attempt,
  suite,
})

/** A facility's own side of a sum, by its name. */
export const ownSideOf = (name: string, epochKeys: EpochKeys | null = null): OwnSide => ({
  me: participantId(name),
  keys: keysFor(name),
  epochKeys,
})
