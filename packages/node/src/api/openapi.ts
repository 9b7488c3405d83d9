import { z } from "zod"
import { BINARY, type Described, type OpenRouteSpec, ROUTES, type RouteSpec } from "./routes.js"
import { problemSchema } from "./schemas.js"

const LEADER_INFO = {
  title: "Consilium leader",
  description:
    "Studies of one leader, and its models. On its own machine, reading, starting and stopping studies and asking models need no token; elsewhere every route does but the prediction page.",
}
const PROBLEM: Described = { name: "Problem", schema: problemSchema }

const jsonSchema = (schema: z.ZodType, io: "input" | "output"): Record<string, unknown> => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io,
    unrepresentable: "any",
  })
  return rest
}

const reference = ({ name }: Described): object => ({ schema: { $ref: `#/components/schemas/${name}` } })

const parametersOf = ({ params, query }: RouteSpec | OpenRouteSpec): readonly object[] =>
  [["path", params] as const, ["query", query] as const].flatMap(([place, object]) =>
    Object.entries(object?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: place,
      required: place === "path",
      schema: jsonSchema(schema as z.ZodType, "input"),
    })),
  )

const operationOf = (name: string, route: RouteSpec | OpenRouteSpec): object => ({
  operationId: name,
  summary: route.summary,
  description: route.right === null ? "Needs no token." : `Needs the right "${route.right}".`,
  parameters: [
    ...parametersOf(route),
    ...(route.right === "start" && route.answer.status === 202
      ? [
          {
            name: "Idempotency-Key",
            in: "header",
            required: false,
            description: "A repetition with the same key gets the first answer and starts nothing.",
            schema: { type: "string", minLength: 1, maxLength: 128 },
          },
        ]
      : []),
    ...(route.path.endsWith("/*")
      ? [{ name: "file", in: "path", required: true, schema: { type: "string" } }]
      : []),
  ],
  ...(route.body && {
    requestBody: {
      required: true,
      content: Object.fromEntries(route.body.types.map((type) => [type, reference(route.body as Described)])),
    },
  }),
  ...(route.bytes && { requestBody: { required: true, content: { [BINARY]: {} } } }),
  responses: {
    [route.answer.status]: {
      description: route.summary,
      ...(![204, 302].includes(route.answer.status) && {
        content: { [route.answer.type]: route.answer.value ? reference(route.answer.value) : {} },
      }),
    },
    default: {
      description: "A refusal, with what to do about it.",
      content: { "application/problem+json": reference(PROBLEM) },
    },
  },
})

/** A path as OpenAPI writes it. */
export const openApiPath = (path: string): string => path.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{file}")

/** The description of an API, made from its tables of routes and the schemas that check them. */
export const openApi = (
  routes: Readonly<Record<string, RouteSpec | OpenRouteSpec>> = ROUTES,
  info: { readonly title: string; readonly description: string } = LEADER_INFO,
): object => {
  const schemas: Record<string, object> = { [PROBLEM.name]: jsonSchema(PROBLEM.schema, "output") }
  const paths: Record<string, Record<string, object>> = {}
  for (const [name, route] of Object.entries(routes)) {
    const { body, answer } = route
    if (body) schemas[body.name] = jsonSchema(body.schema, "input")
    if (answer.value) schemas[answer.value.name] = jsonSchema(answer.value.schema, "output")
    const path = openApiPath(route.path)
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(name, route) }
  }
  return {
    openapi: "3.1.0",
    info: { ...info, version: "1" },
    security: [{ token: [] }, {}],
    paths,
    components: {
      schemas,
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  }
}
