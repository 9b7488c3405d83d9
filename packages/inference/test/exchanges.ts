import { digestHex, sha256 } from "@consilium/base/hash"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { planHash } from "@consilium/inference/plan/plan"
import { ModelServer } from "@consilium/inference/server/model-server"
import {
  denseNetwork,
  extremePatient,
  HEART,
  HEART_LINEAR,
  HEART_SCALING,
  squareNetwork,
  testRandom,
} from "./heart.js"

const NONCE = Uint8Array.from({ length: 32 }, (_, i) => i)
const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING }
const short = (bytes: Uint8Array): string => digestHex(sha256(bytes)).slice(0, 16)

/** All bytes of one exchange about three patients, from one seed. */
const exchange = (compiled: ReturnType<typeof compile>) => {
  const random = testRandom("known answers")
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const key = asker.prepared.takesKey ? asker.newKey(NONCE, random) : undefined
  const given = key === undefined ? {} : { key: server.readKey(NONCE, key.upload) }
  const patients = [0, 5461, 8191].map((corner) => extremePatient(corner))
  const question = asker.ask(patients, key === undefined ? { random } : { key, random })
  const answer = server.answer(question.bytes, { ...given, random })
  return {
    plan: digestHex(planHash(compiled.plan)).slice(0, 16),
    ...(key === undefined ? {} : { key: short(key.upload) }),
    request: short(question.bytes),
    answer: short(answer),
    rounded: question.open(answer).map(({ rounded }) => rounded),
  }
}

/** One exchange for each kind of plan. */
export const exchanges = () => {
  const network = squareNetwork(testRandom("network"), 13, 16, 0.03)
  const square = { kind: "square" } as const
  const cubic = { kind: "polynomial", coefficients: [0.5, 0.2, 0.1, -0.02] } as const
  const deep = denseNetwork(testRandom("deep"), [13, 4, 3, 1], [square, cubic], 0.5)
  return {
    linearShared: exchange(compile(HEART_LINEAR, HEART, NAMED)),
    linearKept: exchange(compile(HEART_LINEAR, HEART, { ...NAMED, weights: "kept" })),
    network: exchange(compile(network, HEART, NAMED)),
    features: exchange(compile(deep, HEART, NAMED)),
  }
}
