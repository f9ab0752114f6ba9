import { expect, test } from 'vitest'
import type { JobStatus, RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { ErrorData } from '../../runtime/core/errors.ts'
import { initialSession, sessionStep, type SessionCommand, type SessionEvent } from './run-machine.ts'

const compiled: SessionEvent = { kind: 'compiled' }
const clusterReady: SessionEvent = { kind: 'clusterReady' }
const submitted: SessionEvent = { kind: 'submitted', jobId: 'j' }
const ctrlC: SessionEvent = { kind: 'interrupt', signal: 'SIGINT' }
const terminate: SessionEvent = { kind: 'interrupt', signal: 'SIGTERM' }
const status = (status: JobStatus, error?: ErrorData, jobId = 'j'): SessionEvent => ({
  kind: 'runtime', event: { sequence: 1, at: 0, kind: 'jobStatus', jobId, status, attempt: 1, ...(error === undefined ? {} : { error }) } as RuntimeEvent,
})

/** The commands of a whole session, one word each. */
function play(...events: readonly SessionEvent[]): string {
  let state = initialSession
  const words: string[] = []
  const word = (command: SessionCommand) => (command.kind === 'end' ? `end ${command.result.exitCode}${command.force ? ' by force' : ''}${command.result.error ? ` ${command.result.error.code}` : ''}` : command.kind)
  for (const event of events) {
    const step = sessionStep(state, event)
    state = step.state
    words.push(...step.commands.map(word))
  }
  return words.join(', ')
}

const up = [compiled, clusterReady, submitted] as const

test.each<readonly [string, string, readonly SessionEvent[]]>([
  ['a job that finishes', 'submit, end 0', [...up, status('RUNNING'), status('FINISHED')]],
  ['the cluster is faster than the bundler', 'submit, end 0', [clusterReady, compiled, submitted, status('FINISHED')]],
  ['the job is not submitted before both are there', '', [compiled]],
  ['a job that fails with an input error', 'submit, end 7 INPUT_NOT_FOUND', [...up, status('FAILED', { code: 'INPUT_NOT_FOUND', message: 'x' })]],
  ['a job that fails without a word', 'submit, end 1 JOB_FAILED', [...up, status('FAILED')]],
  ['a job that somebody else canceled', 'submit, end 1', [...up, status('CANCELED')]],
  ['another job of the cluster ends', 'submit', [...up, status('FAILED', undefined, 'another')]],
  ['a syntax error while the cluster starts', 'end 3 BUNDLE_FAILED', [{ kind: 'failed', error: { code: 'BUNDLE_FAILED', message: 'x' } }, clusterReady]],
  ['Ctrl-C before there is a job', 'end 130', [compiled, ctrlC]],
  ['Ctrl-C while the job is submitted', 'submit, say, cancel, end 130', [compiled, clusterReady, ctrlC, submitted, status('CANCELED')]],
  ['Ctrl-C, and the job is canceled', 'submit, say, cancel, end 130', [...up, ctrlC, status('CANCELLING'), status('CANCELED')]],
  ['Ctrl-C twice', 'submit, say, cancel, end 130 by force', [...up, ctrlC, ctrlC]],
  ['Ctrl-C twice while submitting', 'submit, say, end 130 by force', [compiled, clusterReady, ctrlC, ctrlC]],
  ['Ctrl-C, but the job finishes first', 'submit, say, cancel, end 0', [...up, ctrlC, status('FINISHED')]],
  ['Ctrl-C, and the job fails on the way', 'submit, say, cancel, end 1 USER_CODE_FAILED', [...up, ctrlC, status('FAILED', { code: 'USER_CODE_FAILED', message: 'x' })]],
  ['SIGTERM is as graceful', 'submit, say, cancel, end 143', [...up, terminate, status('CANCELED')]],
  ['a job that does not end', 'submit, say, cancel, say, end 143 by force', [...up, terminate, { kind: 'overdue' }]],
  ['cancel from the view', 'submit, say, cancel, end 130', [...up, { kind: 'wish', wish: 'cancel' }, status('CANCELED')]],
  ['a savepoint from the view', 'submit, savepoint, end 0', [...up, { kind: 'wish', wish: 'savepoint' }, status('FINISHED')]],
  ['the first end counts', 'submit, end 0', [...up, status('FINISHED'), ctrlC, status('FAILED'), { kind: 'overdue' }]],
])('%s: %s', (_what, expected, events) => {
  expect(play(...events)).toBe(expected)
})
