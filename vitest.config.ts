import { defineConfig } from 'vitest/config'

// Tests run on the sources; the processes that end-to-end tests start run on `dist/`, which global setup builds.
const source = { conditions: ['flink-ts-source'] }

export default defineConfig({
  resolve: source,
  ssr: { resolve: source },
  test: {
    env: { TZ: 'UTC' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { test: { name: 'unit', include: ['runtime/**/*.test.ts', 'cli/**/*.test.{ts,tsx}', 'templates/**/*.test.ts', 'fixtures/bench/**/*.test.ts'] } },
      { test: { name: 'e2e', globalSetup: ['scripts/build-once.ts'], include: ['fixtures/**/*.test.ts'], exclude: ['fixtures/bench/**'], fileParallelism: false, testTimeout: 600_000, hookTimeout: 600_000 } },
    ],
  },
})
