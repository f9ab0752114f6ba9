/** What a person is told when a job cannot be built. */
import { readFileSync } from 'node:fs'
import { errorFromData, FlinkError } from '../../runtime/core/errors.ts'
import type { CompileAnswer } from '../../runtime/deploy/process-events.ts'
import { importPosition, type JobBundle } from './bundle-job.ts'

export function refusalOf(answer: Exclude<CompileAnswer, { kind: 'compiled' }>, bundle: JobBundle): FlinkError {
  return answer.kind === 'refused' ? errorFromData(answer.error) : packageMissing(answer.specifier, bundle)
}

function packageMissing(specifier: string, bundle: JobBundle): FlinkError {
  const at = importPosition(bundle.inputs, specifier, file => readFileSync(file, 'utf8'))
  return new FlinkError('BUNDLE_FAILED', `package "${specifier}" is not installed`, {
    hint: `Install it: npm install ${specifier}`,
    ...(at === undefined ? {} : { at }),
  })
}
