import { uniformUnit } from "@consilium/base/random"
import { patientEncoding } from "@consilium/inference/client/encoding"
import type { IntegerSquares } from "@consilium/inference/model/integer-model"
import { answerScale, type InferencePlan } from "@consilium/inference/plan/plan"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { answerFromBytes } from "@consilium/inference/wire/answer"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { requestToBytes } from "@consilium/inference/wire/request"
import { nttPrimes } from "@consilium/lattice/ring/primes"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { Seed } from "@consilium/lattice/ring/seeds"
import { encryptWithSecret } from "@consilium/lattice/rlwe/encryption"
import { RlweSecret } from "@consilium/lattice/rlwe/keys"
import { rlweParameters } from "@consilium/lattice/rlwe/parameters"
import SEAL from "node-seal"
import { expect, it } from "vitest"
import {
  ciphertextToSeal,
  sealId,
  sealParameters,
  secretFromSeal,
} from "../../../lattice/test/seal-format.js"
import { extremePatient, HEART, randomPatient, testRandom } from "../heart.js"

/** The package exports one function, and types for another form of module. */
const startSeal = SEAL as unknown as typeof SEAL.default

const DEGREE = 4096
const INPUT_BITS = 18
const WEIGHT_BITS = 8
const UNITS = 5
const PATIENTS = 2048

it("SEAL decrypts what the server answers, of three polynomials, to the logits of the model", async () => {
  // SEAL sets one prime aside, which ciphertexts do not have
  const primes = [...nttPrimes(DEGREE, 26, 4)].reverse()
  const withSpecial = rlweParameters({ degree: DEGREE, primes, special: 1 })
  const seal = await startSeal()
  const none = seal.ComprModeType.none
  const settings = seal.EncryptionParameters(seal.SchemeType.ckks)
  settings.loadArray(sealParameters(withSpecial))
  const context = seal.Context(settings, true, seal.SecurityLevel.tc128)
  expect(context.parametersSet()).toBe(true)
  const encoder = seal.CKKSEncoder(context)
  const secretKey = seal.KeyGenerator(context).secretKey()

  const random = testRandom("seal")
  const whole = (most: number) => Math.floor(uniformUnit(random) * 2 * most) - most
  const integers: IntegerSquares = {
    kind: "squares",
    units: Array.from({ length: UNITS }, (_, i) => ({
      weights: Int32Array.from({ length: 13 }, () => whole(2 ** WEIGHT_BITS)),
      bias: BigInt(whole(2 ** (INPUT_BITS + WEIGHT_BITS))),
      sign: i % 2 === 0 ? 1 : -1,
    })),
    bias: BigInt(whole(2 ** 50)),
  }
  const plan: InferencePlan = {
    model: "seal",
    version: "1",
    marks: [],
    schema: HEART,
    packing: "slots-by-patient",
    weights: "shared",
    degree: DEGREE,
    primes: primes.slice(0, 3),
    inputBits: INPUT_BITS,
    answerBits: 2 * (INPUT_BITS + WEIGHT_BITS),
    answerPrimes: 3,
    floodBits: null,
    patients: PATIENTS,
    logitBound: 1000,
    errorBound: 0.1,
    calibration: null,
    program: null,
  }
  const prepared = new PreparedPlan(plan)
  const ternary = secretFromSeal(withSpecial, secretKey.saveArray(none)).expose()
  const secret = RlweSecret.from(prepared.parameters, ternary)

  const reader = new PatientReader(HEART)
  const units = Array.from({ length: PATIENTS }, (_, i) =>
    reader.units(i % 2 === 0 ? extremePatient(i * 4) : randomPatient(random)),
  )
  const ciphertexts = patientEncoding(prepared)
    .encode(units)
    .map((message) => {
      const { parts, seed } = encryptWithSecret(secret, message, random)
      return { c0: parts[0] as Evaluations, seed: seed as Seed }
    })
  const request = requestToBytes(prepared, { patients: PATIENTS, keyId: null, ciphertexts })
  const { parts } = answerFromBytes(prepared, new ModelServer({ plan, integers }).answer(request))

  const levelId = sealId(encoder.encode(new Float64Array(1), 2 ** 20)?.saveArray(none) as Uint8Array)
  const answer = {
    parameters: prepared.parameters,
    parts,
    limbs: 3,
    level: 2,
    size: 3,
    scale: answerScale(plan),
  }
  const cipher = seal.CipherText()
  cipher.loadArray(context, ciphertextToSeal(answer, levelId))
  const plain = seal.PlainText()
  seal.Decryptor(context, secretKey).decrypt(cipher, plain)
  const logits = encoder.decode(plain) as Float64Array

  const expected = units.map((u) =>
    integers.units.reduce(
      (sum, { weights, bias, sign }) => {
        const affine = weights.reduce((total, w, j) => total + (w / 2 ** WEIGHT_BITS) * (u[j] as number), 0)
        return sum + sign * (affine + Number(bias) / 2 ** (INPUT_BITS + WEIGHT_BITS)) ** 2
      },
      Number(integers.bias) / 2 ** plan.answerBits,
    ),
  )
  const most = expected.reduce((max, logit, p) => Math.max(max, Math.abs(logit - (logits[p] as number))), 0)
  expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(10)
  expect(most).toBeLessThan(0.3)
})
