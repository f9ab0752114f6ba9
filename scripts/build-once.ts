/**
 * Global setup of vitest: processes that tests start run on `dist/`, so it is brought up to date before the first test.
 * Does nothing when no source has changed since the last build.
 */
import { buildDist } from './build.mjs'

export default async function setup(): Promise<void> {
  await buildDist()
}
