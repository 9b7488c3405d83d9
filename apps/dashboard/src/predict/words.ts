import type { InferencePlan } from "@consilium/inference/plan/plan"
import type { GlossaryEntry, Wording } from "../words.js"

const MARKS: Readonly<Record<string, string>> = {
  "insecure-seed":
    "Every secret of the study that trained this model follows from a number that anyone may know. It is a demonstration: do not use it for real patients.",
  "synthetic-data": "This model was trained on made-up patients. Do not use it for real ones.",
}

/** What a mark of a model means for those who ask it. */
export const modelMarkWords = (mark: string): Wording => {
  const plain = Object.hasOwn(MARKS, mark) ? MARKS[mark] : undefined
  return plain === undefined ? { plain: mark, term: null } : { plain, term: mark }
}

const TOLD_BY_ONE: Readonly<Record<InferencePlan["packing"], string>> = {
  "lr-coefficients": "from one answer, whoever asks can compute every weight of it.",
  "slots-by-patient": "from one answer, whoever asks can compute the sum of squares that it is.",
  "slots-by-feature": "nothing hides what answers hold of its weights beside the risk.",
}

/** What the mode of a plan means for the one who asks. */
export const weightsWords = ({ weights, packing }: Pick<InferencePlan, "weights" | "packing">): string => {
  if (weights === "kept")
    return (
      "The model is kept from honest askers: an answer tells them their risk and nothing else of its weights. Enough answers " +
      "together still determine it, so answers are counted. Whoever cheats can read weights out of answers."
    )
  return `The patient is hidden, the model is not: ${TOLD_BY_ONE[packing]}`
}

/** Where the secret key is, and for how long; by whether the plan has an asker upload a key. */
export const keyWords = (takesKey: boolean): string =>
  takesKey
    ? "In a worker of this tab, which keeps it to itself. What the server needs of it to compute, and with which nothing can be read, was sent once. It is erased when you leave the page or choose another model."
    : "In a worker of this tab, which keeps it to itself. Every request has a fresh one, erased as soon as its answer is opened. None is ever sent."

const PACKINGS: Readonly<Record<InferencePlan["packing"], string>> = {
  "lr-coefficients": "patients one after the other in one ciphertext",
  "slots-by-patient": "one ciphertext for each column, patients side by side in it",
  "slots-by-feature": "all columns of a patient in one ciphertext, a few patients side by side",
}
export const packingWords = (packing: InferencePlan["packing"]): string => PACKINGS[packing]

/** Why this plan has nothing to compare an encrypted answer with; null where it has. */
export const incomparableWords = ({
  weights,
  packing,
}: Pick<InferencePlan, "weights" | "packing">): string | null => {
  if (weights === "kept")
    return "This model is kept from you, so this page cannot compute it in the clear, and sending a patient in the clear to compare is out of the question."
  if (packing !== "lr-coefficients")
    return "This page cannot compute a network in the clear: from one answer it would have to be solved for, which is more than a page should do."
  return null
}

export const PREDICTION_GLOSSARY: readonly GlossaryEntry[] = [
  {
    word: "Encrypted",
    means:
      "Turned into numbers that nobody can read without the secret key. The server computes with them as they are and never sees what is in them.",
  },
  {
    word: "Plan",
    means:
      "All that you and the server agree on before you ask: the questions, the parameters of the encryption, the calibration. It is public and holds no weight of the model. Its hash is its name.",
  },
  {
    word: "Logit",
    means:
      "The number that the model computes. The higher, the more likely ill; 0 is a probability of one half before calibration.",
  },
  {
    word: "Calibration",
    means:
      "A correction, fitted to patients whom the model had not seen, after which a probability can be taken at its word: of 100 patients given 30 %, about 30 are ill.",
  },
  {
    word: "Error bound",
    means:
      "A proven limit for how far the decrypted logit can be from what the model gives in the clear, for every patient within the ranges.",
  },
  {
    word: "Shared and kept",
    means:
      "Whether an answer gives away the model's weights. Shared: yes, to whoever asks. Kept: not to those who ask honestly. The patient is hidden in both.",
  },
  {
    word: "CKKS",
    means: "A way of encrypting numbers so that sums and products can be computed without reading them.",
  },
  {
    word: "Degree (N) and modulus (Q)",
    means:
      "The size of the lattice that the encryption rests on: how many coefficients a ciphertext has, and the number up to which each is counted.",
  },
  {
    word: "Blank",
    means:
      "An encryption of nothing, made before you ask. Your patient is added to it when you do, so that little is left to be done after the click. Each is used once.",
  },
  {
    word: "Worker",
    means:
      "A part of this page that runs beside it. The secret keys are in it; the page itself never has them.",
  },
  { word: "Hash", means: "A fingerprint of some bytes: other bytes have another one." },
]
