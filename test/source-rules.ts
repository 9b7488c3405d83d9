import { posix } from "node:path"
import { parseSync } from "vite"

/** Which layer a workspace is in; imports go down only. */
export const LAYERS: Readonly<Record<string, number>> = {
  "@consilium/base": 0,
  "@consilium/lattice": 1,
  "@consilium/paillier": 1,
  "@consilium/sharing": 1,
  "@consilium/privacy": 1,
  "@consilium/learning": 1,
  "@consilium/records": 1,
  "@consilium/mpc": 2,
  "@consilium/inference": 2,
  "@consilium/proofs": 2,
  "@consilium/robust": 2,
  "@consilium/federation": 3,
  "@consilium/node": 4,
  "@consilium/inference-client": 4,
  "consilium-cli": 5,
  "consilium-dashboard": 5,
}
const TOP_PURE_LAYER = 3

/** Packages whose results must be the same bits on every engine. */
const BIT_EXACT = new Set([
  "@consilium/base",
  "@consilium/lattice",
  "@consilium/privacy",
  "@consilium/learning",
  "@consilium/records",
  "@consilium/inference",
  "@consilium/federation",
])
/** What ECMAScript defines to the last bit; the rest of Math is left to the engine's approximation, or is random. */
const EXACT_MATH = new Set(
  "abs ceil clz32 floor fround imul max min round sign sqrt trunc E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2".split(
    " ",
  ),
)
const WORLD = new Set(
  (
    "process Buffer global globalThis window self navigator document require module __dirname __filename fetch " +
    "setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate queueMicrotask performance crypto " +
    "console WebSocket EventSource XMLHttpRequest Worker MessageChannel BroadcastChannel localStorage sessionStorage " +
    "indexedDB TextEncoder TextDecoder WebAssembly URL Blob structuredClone atob btoa Intl eval Function"
  ).split(" "),
)
/** Methods whose result depends on the machine's language or time zone. */
const LOCAL_METHODS = /^(localeCompare|toLocale\w+|getTimezoneOffset)$/
const FORBIDDEN_NAMES = new Set(["util", "utils", "common", "helper", "helpers", "misc"])

/** What the rules need to know of a source file's surroundings. */
export interface SourceFile {
  /** Path from the root, such as `packages/base/src/hash.ts`. */
  readonly path: string
  readonly text: string
  readonly packageName: string
  /** Names in `dependencies` of the package's manifest. */
  readonly dependencies: ReadonlySet<string>
  /** Whether a file of the tree exists, by its path from the root. */
  readonly exists: (path: string) => boolean
  /** The folder of a workspace package, or undefined for foreign packages. */
  readonly folderOf: (packageName: string) => string | undefined
}

interface Node {
  readonly type: string
  readonly start: number
  readonly [field: string]: unknown
}
const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"

const childrenOf = (node: Node): readonly (readonly [string, Node])[] =>
  Object.entries(node).flatMap(([field, value]) =>
    (Array.isArray(value) ? value : [value]).filter(isNode).map((child) => [field, child] as const),
  )

/** Calls `visit` for a node and all below it; where `visit` returns false it does not go deeper. */
export const walk = (
  node: Node,
  visit: (node: Node, parent: Node | null, field: string) => boolean | undefined,
  parent: Node | null = null,
  field = "",
): void => {
  if (visit(node, parent, field) === false) return
  for (const [name, child] of childrenOf(node)) walk(child, visit, node, name)
}

/** The syntax tree of a TypeScript source. */
export const parse = (path: string, text: string): Node => {
  const { program, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`)
  return program as unknown as Node
}

/** Type-level nodes; the few `TS...` nodes that hold an expression are walked like any other. */
const isTypeOnly = (node: Node): boolean =>
  (node.type.startsWith("TS") &&
    !/^TS(As|Satisfies|NonNull|Instantiation)Expression$|^TSTypeAssertion$|^TSExportAssignment$|^TSParameterProperty$/.test(
      node.type,
    )) ||
  node.importKind === "type" ||
  node.exportKind === "type"

/** True if an identifier names a variable, rather than a property, a label or the outer name of an import or export. */
const isVariable = (node: Node, parent: Node | null, field: string): boolean => {
  if (node.type !== "Identifier") return false
  if (parent === null) return true
  if (parent.type === "MemberExpression" && field === "property") return parent.computed === true
  if (
    /^(Property|MethodDefinition|PropertyDefinition|AccessorProperty)$/.test(parent.type) &&
    field === "key"
  )
    return parent.computed === true
  if (parent.type === "ImportSpecifier") return field === "local"
  if (/^(LabeledStatement|BreakStatement|ContinueStatement)$/.test(parent.type)) return field !== "label"
  return !(parent.type === "ExportSpecifier" && field === "exported")
}

const propertyName = (member: Node): string | undefined => {
  const property = member.property as Node
  if (member.computed !== true) return property.name as string
  return typeof property.value === "string" ? property.value : undefined
}
const isCalled = (node: Node, name: string): boolean =>
  isNode(node.callee) && node.callee.type === "Identifier" && node.callee.name === name

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

/** Every module that a source names: imports, re-exports, dynamic imports and types imported in place. */
const specifiersOf = (program: Node): readonly (string | null)[] => {
  const found: (string | null)[] = []
  walk(program, (node) => {
    if (/^(Import|ExportNamed|ExportAll)Declaration$|^ImportExpression$|^TSImportType$/.test(node.type)) {
      if (isNode(node.source)) found.push(typeof node.source.value === "string" ? node.source.value : null)
    } else if (node.type === "TSExternalModuleReference") {
      found.push(((node.expression as Node).value as string | undefined) ?? null)
    } else if (node.type === "CallExpression" && isCalled(node, "require")) found.push(null)
    return undefined
  })
  return found
}

const importProblem = (file: SourceFile, specifier: string | null): string | null => {
  const layer = LAYERS[file.packageName] as number
  const sourceRoot = `${file.folderOf(file.packageName)}/src/`
  if (specifier === null) return layer <= TOP_PURE_LAYER ? "imports a module whose name is computed" : null
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(file.path), specifier)
    if (!target.startsWith(sourceRoot)) return `imports ${specifier}, which lies outside its package's src`
    const sources = [target.replace(/\.js$/, ".ts"), target.replace(/\.js$/, ".tsx")]
    if (!target.endsWith(".js") || !sources.some(file.exists))
      return `imports ${specifier}, but relative imports name an existing source as ./name.js`
    return null
  }
  if (specifier.startsWith("node:"))
    return layer <= TOP_PURE_LAYER ? `imports ${specifier}: layers 0 to ${TOP_PURE_LAYER} are pure` : null
  const name = packageOf(specifier)
  if (name === file.packageName)
    return `imports its own package as ${specifier}; inside a package it is ./file.js`
  if (!file.dependencies.has(name)) return `imports ${specifier}, but ${name} is not among its dependencies`
  const folder = file.folderOf(name)
  if (folder === undefined) return null
  const below = LAYERS[name]
  if (below === undefined) return `imports ${name}, which has no layer`
  if (below >= layer) return `imports ${name} (layer ${below}) from layer ${layer}; imports go down only`
  if (!file.exists(`${folder}/src${specifier.slice(name.length)}.ts`))
    return `imports ${specifier}, but packages are imported file by file, as ${name}/file`
  return null
}

/** Uses of the world (clocks, files, sockets, global randomness, languages and time zones) in a pure package. */
const impurities = (program: Node): readonly string[] => {
  const found: string[] = []
  walk(program, (node, parent, field) => {
    if (isTypeOnly(node)) return false
    if (node.type === "MetaProperty" && (node.meta as Node).name === "import") found.push("uses import.meta")
    if (node.type === "MemberExpression") {
      const name = propertyName(node)
      if (name !== undefined && LOCAL_METHODS.test(name))
        found.push(`uses ${name}, which depends on the machine`)
      const object = node.object as Node
      if (object.type === "Identifier" && object.name === "Math" && name === "random")
        found.push("uses Math.random")
    }
    if (!isVariable(node, parent, field)) return undefined
    if (WORLD.has(node.name as string)) found.push(`uses the name ${node.name}`)
    if (node.name !== "Date") return undefined
    const fromTime =
      parent?.type === "NewExpression" && field === "callee" && (parent.arguments as Node[]).length > 0
    const ofParts =
      parent?.type === "MemberExpression" && field === "object" && propertyName(parent) === "UTC"
    const tested = parent?.type === "BinaryExpression" && parent.operator === "instanceof"
    if (!fromTime && !ofParts && !tested) found.push("reads the clock through Date")
    return undefined
  })
  return found
}

/** Uses of Math whose last bit differs between engines. */
const inexactMath = (program: Node): readonly string[] => {
  const found: string[] = []
  walk(program, (node, parent, field) => {
    if (isTypeOnly(node)) return false
    if (!isVariable(node, parent, field) || node.name !== "Math") return undefined
    const name = parent?.type === "MemberExpression" && field === "object" ? propertyName(parent) : undefined
    if (name === undefined) found.push("uses Math other than as Math.name")
    else if (!EXACT_MATH.has(name)) found.push(`uses Math.${name}, whose last bit depends on the engine`)
    return undefined
  })
  return found
}

const defaultExports = (program: Node): readonly string[] => {
  const found: string[] = []
  walk(program, (node) => {
    const exported = node.type === "ExportSpecifier" && isNode(node.exported) ? node.exported : null
    if (
      node.type === "ExportDefaultDeclaration" ||
      exported?.name === "default" ||
      exported?.value === "default"
    )
      found.push("has a default export")
    if (node.type === "TSExportAssignment") found.push("has a default export")
    return undefined
  })
  return found
}

const isBarrel = (program: Node): boolean => {
  const body = program.body as readonly Node[]
  return (
    body.length > 0 &&
    body.every((node) => /^Export(Named|All)Declaration$/.test(node.type) && isNode(node.source))
  )
}

/** Problems of a path alone: rooms whose name says nothing. */
export const nameProblems = (path: string): readonly string[] =>
  path
    .split("/")
    .map((part) => part.replace(/\..*$/, "").toLowerCase())
    .filter((name) => FORBIDDEN_NAMES.has(name))
    .map((name) => `${path}: "${name}" says nothing; name the idea`)

/** Every rule that a source file breaks, as sentences. */
export const sourceProblems = (file: SourceFile): readonly string[] => {
  const layer = LAYERS[file.packageName]
  if (layer === undefined) return [`${file.path}: ${file.packageName} has no layer`]
  const program = parse(file.path, file.text)
  const platform = file.path === `${file.folderOf(file.packageName)}/src/platform.ts`
  const name = posix.basename(file.path)
  return [
    ...specifiersOf(program)
      .map((specifier) => importProblem(file, specifier))
      .filter((problem) => problem !== null && !(platform && problem.includes("are pure"))),
    ...(layer <= TOP_PURE_LAYER && !platform ? impurities(program) : []),
    ...(BIT_EXACT.has(file.packageName) ? inexactMath(program) : []),
    ...defaultExports(program),
    ...(isBarrel(program) || /^index\.tsx?$/.test(name) ? ["is a barrel"] : []),
  ].map((problem) => `${file.path}: ${problem}`)
}
