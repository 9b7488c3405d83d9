import { type Encoded, f64, nullable, oneOf, record, u32 } from "@consilium/base/encoding"

/** What a facility's steps follow beside the gradient of its own rows. */
export const correctionCodec = oneOf("none", "scaffold")

/** A model of the facility's own, trained in every round beside the common one, which it is drawn towards. */
export const dittoCodec = nullable(
  record({
    /** Weight of the pull towards the round's global model, lambda; 0 trains apart from everybody. */
    lambda: f64,
    /** Steps of a round, and their rate. */
    steps: u32,
    learningRate: f64,
  }),
)

export type Ditto = NonNullable<Encoded<typeof dittoCodec>>

/** What of a study its local strategy has a say in. */
interface StrategyRules {
  readonly model: { readonly kind: string }
  readonly training: {
    readonly correction: "none" | "scaffold"
    readonly ditto: Ditto | null
    readonly fineTuneSteps: number
  }
  readonly privacy: { readonly noise: string } | null
}

export const isCorrected = ({ training }: Pick<StrategyRules, "training">): boolean =>
  training.correction === "scaffold"

interface Problem {
  readonly message: string
  readonly remedy: string
}

const dittoProblem = ({ training, model, privacy }: StrategyRules): Problem | null => {
  const { ditto, fineTuneSteps } = training
  if (ditto === null) return null
  const { lambda, steps, learningRate } = ditto
  if (model.kind === "network")
    return {
      message:
        "A network's steps have no pull towards another model, so no personal model is trained beside it.",
      remedy: "Leave training.ditto out, or use training.fine_tune_steps.",
    }
  if (privacy !== null)
    return {
      message:
        "Personal models train without noise, and their figures would tell of the patients behind them.",
      remedy: "Leave training.ditto out, or privacy.",
    }
  if (fineTuneSteps !== 0)
    return {
      message:
        "The study both tunes a copy of the last model and trains a personal one; a facility reports one.",
      remedy: "Set training.fine_tune_steps to 0, or leave training.ditto out.",
    }
  if (!(steps >= 1 && learningRate > 0 && learningRate < Number.POSITIVE_INFINITY))
    return {
      message: `A personal model of ${steps} steps at the rate ${learningRate} does not learn.`,
      remedy: "Set training.ditto.steps to 1 or more and training.ditto.learning_rate above 0.",
    }
  return lambda >= 0 && lambda * learningRate <= 1
    ? null
    : {
        message: `A pull of ${lambda} at the learning rate ${learningRate} steps past the model it draws towards.`,
        remedy: "Set training.ditto.lambda to 0 or more, and to at most 1 / training.ditto.learning_rate.",
      }
}

/** What is wrong with a study's local strategy, or with rules that do not go with it, and what to do; or null. */
export const localStrategyProblem = (study: StrategyRules): Problem | null => {
  if (isCorrected(study) && study.model.kind === "network")
    return {
      message: "A network's local steps have no control variates.",
      remedy: "Set training.correction to none, or train a logistic regression.",
    }
  if (isCorrected(study) && study.privacy !== null && study.privacy.noise !== "local")
    return {
      message:
        "With noise on the sum a facility's own update has too little of it, and its control variate would carry that update into the next round, beyond what the clip bounds.",
      remedy: "Set training.correction to none, or privacy.noise to local.",
    }
  return dittoProblem(study)
}
