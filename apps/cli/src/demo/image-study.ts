import type { StudyFileInput } from "@consilium/node/config/study-file"
import { CHEST_CLASSES, CHEST_IMAGES, CHEST_SIDE } from "./chest-images.js"
import { type StudyPlan, studyOn } from "./studies.js"

/** Adam as the pooled network is trained, 40 steps a round. */
const WITHOUT_NOISE = { optimiser: "adam", learning_rate: 0.003, steps: 40, batch_size: 32 } as const

/**
 * Few steps over a tenth of the images each. Chosen on the validation images at epsilon 2 among steps in all (60, 100, 200),
 * steps a round (1, 3, 5, 10), shares of images (a tenth, a fifth, three tenths), rates and norms.
 */
const WITH_NOISE = { optimiser: "sgd", learning_rate: 1.5, steps: 3, sampleRate: 0.1 } as const

/** Images that weigh, per facility, where counts weigh: among this many facilities such sums fit their 31 bits. */
const MOST_WEIGHED = { facilities: 15, images: 4096 }

/**
 * A study on chest X-rays: a network of 1,649 parameters, the label pneumonia. With noise, sums are divided by the number of
 * images that a step draws on average per hospital, which follows from what is published of the data set.
 */
export const imageStudy = (plan: StudyPlan): StudyFileInput => {
  const { facilities, epsilon = null } = plan
  const base = studyOn({ features: ["pixels"], data: null, subgroups: [] }, plan)
  const { sampleRate, ...noisy } = WITH_NOISE
  const drawn = Math.max(1, Math.round((sampleRate * CHEST_IMAGES) / facilities.length))
  const training = epsilon === null ? WITHOUT_NOISE : { ...noisy, batch_size: drawn }
  const counted = epsilon === null && facilities.length <= MOST_WEIGHED.facilities
  return {
    ...base,
    model: {
      kind: "network",
      images: { height: CHEST_SIDE, width: CHEST_SIDE, classes: [...CHEST_CLASSES] },
      layers: "cnn-small",
    },
    training: {
      ...base.training,
      ...training,
      learning_rate: plan.learningRate ?? training.learning_rate,
    },
    quantisation: {
      clip_norm: 8,
      fraction_bits: 11,
      ...(counted
        ? { weights: "exact" as const, largest_weight: MOST_WEIGHED.images }
        : { weights: "equal" as const }),
    },
    // noise on counts of a few hundred held-out images would say nothing of the model, and training can use the budget
    ...(base.privacy ? { privacy: { ...base.privacy, sample_rate: sampleRate }, evaluation: null } : {}),
  }
}
