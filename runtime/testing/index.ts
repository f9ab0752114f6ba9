/** `flink-ts/testing`: the test kit for jobs. */
export { runJob, type JobResult, type RunJobOptions } from './run-job.ts'
export { endOfInput, testingSource, watermark, type Mark, type TestingSource } from './testing-source.ts'
