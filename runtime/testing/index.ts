/** `flink-ts/testing`: the test kit for jobs. */
import './matchers.ts'

export { runJob, type JobResult, type RunJobOptions } from './run-job.ts'
export { runThreeWays, type RunThreeWaysOptions, type ThreeWays, type Way, type WayDifference } from './run-three-ways.ts'
export { endOfInput, testingSource, watermark, type Mark, type TestingSource } from './testing-source.ts'
