import { existsSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"
import { describe, expect, it } from "vitest"
import { parse, walk } from "./source-rules.js"
import { filesUnder, ROOT, workspaces } from "./source-tree.js"

/* A server that imports no type of a secret key has no place in its code where one could be held. */

const API = filesUnder("packages/node/src/api").filter((path) => path.endsWith(".ts"))
/** The halves of lattice sums that a server is given. */
const PUBLIC_HALVES = [
  ...["key-check", "zero-check", "public-sum"].map((name) => `packages/lattice/src/threshold/${name}.ts`),
  "packages/lattice/src/masked/public-masked-sum.ts",
]
/** Where the code of a leader, a fog, an authority and an auditor begins. */
const ENTRIES = [
  ...["leader", "fog", "audit"].map((name) => `packages/federation/src/${name}.ts`),
  ...["leader", "fog", "authority", "leader-machine", "fog-machine", "hosted-leader"].map(
    (name) => `packages/node/src/roles/${name}.ts`,
  ),
  ...API,
]

/** The half of encrypted inference that is given ciphertexts, and what it shares with the half that is given patients. */
const INFERENCE = ["server", "wire", "plan", "schema", "model", "files"].flatMap((room) =>
  filesUnder(`packages/inference/src/${room}`),
)

const EPOCH_KEY = "packages/lattice/src/threshold/epoch-key.ts"
const FACILITY = "packages/federation/src/facility.ts"
/** Files for those who hold a key or a share of one. */
const SECRET: readonly RegExp[] = [
  /^packages\/lattice\/src\/threshold\/epoch-key\.ts$/,
  /^packages\/lattice\/src\/threshold\/key-dealing\.ts$/,
  /^packages\/lattice\/src\/threshold\/zero-test\.ts$/,
  /^packages\/lattice\/src\/threshold\/threshold-sum\.ts$/,
  /^packages\/lattice\/src\/threshold\/member\.ts$/,
  /^packages\/lattice\/src\/masked\/masked-sum\.ts$/,
  /^packages\/federation\/src\/sums\/facility\/.+\.ts$/,
  /^packages\/federation\/src\/facility[^/]*\.ts$/,
]
/** Files of encrypted inference, and of the schemes under it, for those who hold a key. */
const INFERENCE_SECRET: readonly RegExp[] = [
  ...SECRET,
  /^packages\/lattice\/src\/rlwe\/(keys|encryption|noise|wire)\.ts$/,
  /^packages\/lattice\/src\/ckks\/ckks\.ts$/,
  /^packages\/inference\/src\/client\/.+\.ts$/,
]
const isSecret = (path: string): boolean => SECRET.some((pattern) => pattern.test(path))

/** What following imports needs of a tree: the project's own, or one made up to try the rule on. */
interface Tree {
  /** A file's text, or undefined if there is no such file. */
  readonly read: (path: string) => string | undefined
  /** The folder of a workspace package, or undefined for foreign packages. */
  readonly folderOf: (packageName: string) => string | undefined
}

const NAMES_A_MODULE = /^(Import|ExportNamed|ExportAll)Declaration$|^ImportExpression$|^TSImportType$/
/** Every module that a source names, types included; null where the name is computed. */
const modulesOf = (path: string, text: string): readonly (string | null)[] => {
  const found: (string | null)[] = []
  walk(parse(path, text), (node) => {
    if (NAMES_A_MODULE.test(node.type) && node.source) {
      const { value } = node.source as { readonly value?: unknown }
      found.push(typeof value === "string" ? value : null)
    }
    return undefined
  })
  return found
}

/** The workspace's file that a module is, or null for a foreign one. An own file that is not there must not pass for one. */
const fileOf = (tree: Tree, from: string, specifier: string | null): string | null => {
  if (specifier === null) throw new Error(`${from} imports a module whose name is computed`)
  const [scope, name, ...rest] = specifier.split("/")
  const folder = specifier.startsWith(".") ? undefined : tree.folderOf(`${scope}/${name}`)
  if (!specifier.startsWith(".") && folder === undefined) return null
  const target =
    folder === undefined
      ? posix.join(posix.dirname(from), specifier.replace(/\.js$/, ""))
      : `${folder}/src/${rest.join("/")}`
  const file = [`${target}.ts`, `${target}.tsx`].find((path) => tree.read(path) !== undefined)
  if (file === undefined) throw new Error(`${from} imports ${specifier}, which is no source of the tree`)
  return file
}

/** The shortest chain of imports to each file that an entry reaches, not going on behind those that `stop` holds for. */
const chainsFrom = (
  tree: Tree,
  entry: string,
  stop: (path: string) => boolean,
): ReadonlyMap<string, readonly string[]> => {
  const chains = new Map<string, readonly string[]>([[entry, [entry]]])
  // a map hands out what is added while it is gone through, in order: nearest files first
  for (const [path, chain] of chains) {
    if (stop(path)) continue
    const text = tree.read(path)
    if (text === undefined) throw new Error(`${path} is not there`)
    for (const specifier of modulesOf(path, text)) {
      const file = fileOf(tree, path, specifier)
      if (file !== null && !chains.has(file)) chains.set(file, [...chain, file])
    }
  }
  return chains
}

/** One sentence for each secret file that a server's code reaches. */
const secretsReached = (tree: Tree, entry: string, secret = isSecret): readonly string[] =>
  [...chainsFrom(tree, entry, secret)].filter(([path]) => secret(path)).map(([, chain]) => chain.join(" -> "))

const folders = new Map(workspaces().map(({ folder, manifest }) => [manifest.name, folder]))
const texts = new Map<string, string | undefined>()
const PROJECT: Tree = {
  read(path) {
    if (!texts.has(path))
      texts.set(path, existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), "utf8") : undefined)
    return texts.get(path)
  },
  folderOf: (name) => folders.get(name),
}

describe("[S22] a server's code reaches no file that is for holders of keys", () => {
  it.each([...ENTRIES, ...PUBLIC_HALVES])("%s", (entry) => {
    expect(secretsReached(PROJECT, entry)).toEqual([])
  })
})

describe("[S30] the half of encrypted inference that is given ciphertexts reaches no file that is for holders of keys", () => {
  it.each(INFERENCE)("%s", (entry) => {
    const secret = (path: string) => INFERENCE_SECRET.some((pattern) => pattern.test(path))
    expect(secretsReached(PROJECT, entry, secret)).toEqual([])
  })
})

describe("the files that this speaks of", () => {
  const everyFileFrom = (entry: string): readonly string[] => [
    ...chainsFrom(PROJECT, entry, () => false).keys(),
  ]

  it("are there: a file that was renamed would be looked for in vain", () => {
    const files = ["packages/lattice/src", "packages/federation/src", "packages/inference/src"].flatMap(
      filesUnder,
    )
    expect(INFERENCE_SECRET.filter((pattern) => !files.some((path) => pattern.test(path)))).toEqual([])
    expect(API).not.toEqual([])
    expect(INFERENCE).toContain("packages/inference/src/server/model-server.ts")
  })

  it("are reached from where keys are held", () => {
    expect(everyFileFrom("packages/lattice/src/threshold/member.ts")).toContain(EPOCH_KEY)
    expect(everyFileFrom("packages/node/src/roles/facility.ts")).toContain(FACILITY)
    expect(everyFileFrom(FACILITY)).toContain(EPOCH_KEY)
    expect(everyFileFrom("packages/inference/src/client/asker.ts")).toContain(
      "packages/lattice/src/rlwe/keys.ts",
    )
  })
})

describe("the search", () => {
  const ENTRY = "packages/node/src/roles/leader.ts"
  const KEY_TEXT = "export interface Key { readonly a: number }"
  const treeOf = (files: Readonly<Record<string, string>>): Tree => ({
    read: (path) => files[path],
    folderOf: (name) =>
      ({
        "@consilium/lattice": "packages/lattice",
        "@consilium/federation": "packages/federation",
      })[name],
  })

  it.each([
    ["an import", 'import { a } from "@consilium/lattice/threshold/epoch-key"'],
    ["an import for its effect", 'import "@consilium/lattice/threshold/epoch-key"'],
    ["a type", 'import type { Key } from "@consilium/lattice/threshold/epoch-key"'],
    ["a type among values", 'import { type Key } from "@consilium/lattice/threshold/epoch-key"'],
    ["a type imported in place", 'let a: import("@consilium/lattice/threshold/epoch-key").Key'],
    ["a re-export", 'export { a } from "@consilium/lattice/threshold/epoch-key"'],
    ["a re-export of a type", 'export type { Key } from "@consilium/lattice/threshold/epoch-key"'],
    ["a star re-export", 'export * from "@consilium/lattice/threshold/epoch-key"'],
    ["a dynamic import", 'const a = () => import("@consilium/lattice/threshold/epoch-key")'],
  ])("finds %s", (_, text) => {
    expect(secretsReached(treeOf({ [ENTRY]: text, [EPOCH_KEY]: KEY_TEXT }), ENTRY)).toEqual([
      `${ENTRY} -> ${EPOCH_KEY}`,
    ])
  })

  it("names the whole chain through packages and relative imports, and goes round circles once", () => {
    const tree = treeOf({
      [ENTRY]: 'import { b } from "./machine.js"\nimport "node:fs"\nimport "fastify"',
      "packages/node/src/roles/machine.ts":
        'import type { C } from "@consilium/federation/sums/whole"\nimport "./leader.js"',
      "packages/federation/src/sums/whole.ts":
        'import type { S } from "@consilium/lattice/threshold/threshold-sum"',
      "packages/lattice/src/threshold/threshold-sum.ts": 'import type { Key } from "./epoch-key.js"',
      [EPOCH_KEY]: KEY_TEXT,
    })
    expect(secretsReached(tree, ENTRY)).toEqual([
      "packages/node/src/roles/leader.ts -> packages/node/src/roles/machine.ts -> " +
        "packages/federation/src/sums/whole.ts -> packages/lattice/src/threshold/threshold-sum.ts",
    ])
    expect(chainsFrom(tree, ENTRY, () => false).has(EPOCH_KEY)).toBe(true)
  })

  it("does not pass over what it cannot follow", () => {
    const reached = (text: string) => () => secretsReached(treeOf({ [ENTRY]: text }), ENTRY)
    expect(reached("const a = (name: string) => import(name)")).toThrow("name is computed")
    expect(reached('import { a } from "./nothing.js"')).toThrow("no source of the tree")
    expect(reached('import { a } from "@consilium/lattice/nothing"')).toThrow("no source of the tree")
    expect(reached('import { a } from "fastify"')()).toEqual([])
  })
})
