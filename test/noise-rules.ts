import { parse, walk } from "./source-rules.js"

type SyntaxNode = Parameters<typeof walk>[0]

/**
 * Noise that protects patients is drawn by the exact samplers of `packages/privacy/src`, which turn random bits into whole
 * numbers: doubles with noise on them tell more than their distribution says (Mironov 2012). A double can only be random if
 * random bits are made into a fraction. In the packages that train and add noise this is done in these files alone, each
 * for something that is no noise, and none of them bends a fraction into another distribution.
 */
export const FRACTIONS: ReadonlyMap<string, string> = new Map([
  ["packages/federation/src/quantise.ts", "rounding up or down at random, after all noise"],
  ["packages/federation/src/attacks/canaries.ts", "coins of an audit"],
  ["packages/learning/src/architecture.ts", "initial weights, of public randomness"],
  ["packages/learning/src/network/network.ts", "initial weights, of public randomness"],
])

/** Packages in which no other double is random. */
const RULED = /^packages\/(privacy|learning|federation)\/src\//

/** What gives random bits or whole numbers, by the last part of a call's name. */
const DRAWS = /^(bytes|take|bits|uniform\w*|next(Bit|Bits|Int|Uint\w*)|permutation)$/
/** What bends a fraction into the distribution of noise. */
const BENDS = /^(log\w*|ln|exp\w*|sin|cos|tan\w*|erf\w*|\w*(Quantile|Inverse|InverseCdf|Ppf))$/
/** What such samplers are called. */
const SAMPLERS =
  /^(box_?muller\w*|marsaglia\w*|ziggurat\w*|irwin_?hall\w*|rand_?n|(rand(om)?|draw|sample|next|add)_?(gauss|gaussian|normal|laplace)\w*|(gauss|gaussian|normal|laplace)_?(noise|sample|variate|deviate|random)s?)$/i

const nameOfCallee = (callee: SyntaxNode): string | undefined => {
  if (callee.type === "Identifier") return callee.name as string
  if (callee.type !== "MemberExpression") return undefined
  const property = callee.property as SyntaxNode
  return (property.name ?? property.value) as string | undefined
}

const calledIn = (node: SyntaxNode, pattern: RegExp): boolean => {
  let found = false
  walk(node, (inner) => {
    if (inner.type === "CallExpression" && pattern.test(nameOfCallee(inner.callee as SyntaxNode) ?? ""))
      found = true
    return !found
  })
  return found
}

/** A power of two below 1, or a literal below 1: what makes whole numbers into fractions. */
const isFraction = (node: SyntaxNode): boolean => {
  if (node.type === "Literal") return typeof node.value === "number" && node.value > 0 && node.value < 1
  if (node.type !== "BinaryExpression" || node.operator !== "**") return false
  const { right } = node as unknown as { right: SyntaxNode }
  return right.type === "UnaryExpression" && right.operator === "-"
}

/** What is wrong with how a file draws random numbers, as sentences. */
export const noiseProblems = (path: string, text: string): readonly string[] => {
  if (!RULED.test(path)) return []
  const found = new Set<string>()
  const allowed = FRACTIONS.has(path)
  let draws = false
  let bends = false
  walk(parse(path, text), (node) => {
    if (
      node.type === "ImportDeclaration" &&
      /^@consilium\/records\/(simulator|synthetic)/.test(sourceOf(node))
    )
      found.add(`imports ${sourceOf(node)}, whose random numbers are for made-up records`)
    if (node.type === "ImportSpecifier" && (node.imported as SyntaxNode).name === "uniformUnit") {
      draws = true
      if (!allowed) found.add("draws a random fraction with uniformUnit")
    }
    if (node.type === "BinaryExpression") {
      const [left, right] = [node.left as SyntaxNode, node.right as SyntaxNode]
      const divides = node.operator === "/" && calledIn(left, DRAWS)
      const scales =
        node.operator === "*" &&
        ((isFraction(right) && calledIn(left, DRAWS)) || (isFraction(left) && calledIn(right, DRAWS)))
      if (divides || scales) {
        draws = true
        if (!allowed) found.add("makes a fraction of random bits")
      }
    }
    if (node.type === "CallExpression") {
      const callee = node.callee as SyntaxNode
      const name = nameOfCallee(callee) ?? ""
      if (BENDS.test(name)) bends = true
      if (/^getFloat(32|64)$/.test(name) && calledIn(callee, DRAWS))
        found.add("reads random bits as a double")
    }
    if (/^(NewExpression|CallExpression)$/.test(node.type) && calledIn(node, /^bytes$/)) {
      const name = nameOfCallee(node.callee as SyntaxNode) ?? ""
      if (/^Float(32|64)Array$/.test(name) && node.type === "NewExpression")
        found.add("reads random bits as a double")
    }
    if (node.type === "Identifier" && SAMPLERS.test(node.name as string))
      found.add(`names ${node.name}, as samplers of doubles are called`)
    return undefined
  })
  if (allowed && draws && bends) found.add("bends a random fraction into another distribution")
  return [...found].map(
    (problem) =>
      `${path}: ${problem}; noise comes from the exact samplers of packages/privacy (docs/how-to/train-with-differential-privacy.md)`,
  )
}

const sourceOf = (node: SyntaxNode): string => (node.source as SyntaxNode).value as string
