import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

const conditions = ["source", "node", "import", "default"]
const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
}

export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: "fast",
          include: ["{packages,apps}/*/test/*.test.ts", "test/*.test.ts"],
          testTimeout: 60_000,
          // one for each core but one would leave a machine of two with one
          maxWorkers: Math.max(2, availableParallelism() - 1),
        },
      },
      {
        ...shared,
        test: {
          name: "slow",
          include: ["{packages,apps}/*/test/slow/*.test.ts", "test/slow/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // studies of many processes wait more than they compute: two at a time fit two cores
          maxWorkers: 2,
        },
      },
    ],
  },
})
