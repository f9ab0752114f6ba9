/**
 * One `flink-ts run`, as decisions: what happens goes in, what to do comes out. No I/O; `run-job.ts` carries the commands
 * out and hears everything that is listed here.
 *
 *   starting --compiled, clusterReady--> submitting --submitted--> running --job ended--> over
 *       any of them --interrupt--> cancelling --job ended | overdue | interrupt again--> over
 *
 * The exit code is the job's own result. Ctrl-C asks for a graceful end; a second one ends everything at once.
 */
import { unreachable } from '../../runtime/core/assert.ts'
import { errorTable, exitCodes, type ErrorData } from '../../runtime/core/errors.ts'
import { terminalJobStatuses, type RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { Level } from '../output/event-line.ts'

export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

export type SessionEvent =
  /** The job graph is there. */
  | { readonly kind: 'compiled' }
  | { readonly kind: 'clusterReady' }
  | { readonly kind: 'submitted'; readonly jobId: string }
  | { readonly kind: 'runtime'; readonly event: RuntimeEvent }
  | { readonly kind: 'interrupt'; readonly signal: Signal }
  /** From the live view. */
  | { readonly kind: 'wish'; readonly wish: 'savepoint' | 'cancel' }
  /** The graceful end took too long. */
  | { readonly kind: 'overdue' }
  /** One of our own steps failed: bundling, starting the cluster, submitting. */
  | { readonly kind: 'failed'; readonly error: ErrorData }

export type SessionCommand =
  | { readonly kind: 'submit' }
  | { readonly kind: 'cancel'; readonly jobId: string }
  | { readonly kind: 'savepoint'; readonly jobId: string }
  | { readonly kind: 'say'; readonly level: Level; readonly text: string }
  /** `force`: do not wait for anybody. */
  | { readonly kind: 'end'; readonly force: boolean; readonly result: SessionResult }

export interface SessionResult {
  readonly exitCode: number
  readonly error?: ErrorData
}

export type SessionState =
  | { readonly phase: 'starting'; readonly compiled: boolean; readonly clusterReady: boolean }
  | { readonly phase: 'submitting'; readonly interrupted: Signal | undefined }
  | { readonly phase: 'running'; readonly jobId: string }
  | { readonly phase: 'cancelling'; readonly jobId: string; readonly signal: Signal }
  | { readonly phase: 'over' }

export const initialSession: SessionState = { phase: 'starting', compiled: false, clusterReady: false }

export interface SessionStep {
  readonly state: SessionState
  readonly commands: readonly SessionCommand[]
}

export function sessionStep(state: SessionState, event: SessionEvent): SessionStep {
  // The first end counts: whatever comes later cannot change the exit code.
  if (state.phase === 'over') return { state, commands: [] }
  switch (event.kind) {
    case 'compiled':
    case 'clusterReady': {
      if (state.phase !== 'starting') return stay(state)
      const next = { ...state, [event.kind]: true }
      return next.compiled && next.clusterReady ? { state: { phase: 'submitting', interrupted: undefined }, commands: [{ kind: 'submit' }] } : stay(next)
    }
    case 'submitted':
      if (state.phase !== 'submitting') return stay(state)
      return state.interrupted === undefined ? stay({ phase: 'running', jobId: event.jobId }) : cancelling(event.jobId, state.interrupted)
    case 'runtime':
      return onRuntimeEvent(state, event.event)
    case 'interrupt':
      return onInterrupt(state, event.signal)
    case 'wish':
      if (state.phase !== 'running') return stay(state)
      return event.wish === 'cancel' ? onInterrupt(state, 'SIGINT') : { state, commands: [{ kind: 'savepoint', jobId: state.jobId }] }
    case 'overdue':
      if (state.phase !== 'cancelling') return stay(state)
      return over({ exitCode: signalExitCodes[state.signal] }, true, { kind: 'say', level: 'warn', text: 'the job did not end in time; ending it by force' })
    case 'failed':
      return over({ exitCode: exitCodeOf(event.error), error: event.error })
    default:
      return unreachable(event)
  }
}

function onRuntimeEvent(state: SessionState, event: RuntimeEvent): SessionStep {
  if (state.phase !== 'running' && state.phase !== 'cancelling') return stay(state)
  if (event.kind !== 'jobStatus' || event.jobId !== state.jobId || !terminalJobStatuses.has(event.status)) return stay(state)
  switch (event.status) {
    case 'FINISHED':
      return over({ exitCode: exitCodes.ok })
    case 'CANCELED':
      return over({ exitCode: state.phase === 'cancelling' ? signalExitCodes[state.signal] : exitCodes.jobFailed })
    default: {
      const error: ErrorData = event.error ?? { code: 'JOB_FAILED', message: 'the job failed' }
      return over({ exitCode: exitCodeOf(error), error })
    }
  }
}

function onInterrupt(state: SessionState, signal: Signal): SessionStep {
  switch (state.phase) {
    case 'starting':
      return over({ exitCode: signalExitCodes[signal] })
    case 'submitting':
      return state.interrupted === undefined
        ? { state: { ...state, interrupted: signal }, commands: [pressAgain] }
        : over({ exitCode: signalExitCodes[signal] }, true)
    case 'running': {
      const step = cancelling(state.jobId, signal)
      return { ...step, commands: [pressAgain, ...step.commands] }
    }
    case 'cancelling':
      return over({ exitCode: signalExitCodes[signal] }, true)
    case 'over':
      return stay(state)
    default:
      return unreachable(state)
  }
}

const pressAgain: SessionCommand = { kind: 'say', level: 'warn', text: 'canceling the job; press Ctrl-C again to force' }
/** 128 and the number of the signal, as shells have it. */
const signalExitCodes: Readonly<Record<Signal, number>> = { SIGINT: exitCodes.interrupted, SIGTERM: 143, SIGHUP: 129 }
const exitCodeOf = (error: ErrorData) => exitCodes[errorTable[error.code].exit]

const stay = (state: SessionState): SessionStep => ({ state, commands: [] })
const cancelling = (jobId: string, signal: Signal): SessionStep => ({ state: { phase: 'cancelling', jobId, signal }, commands: [{ kind: 'cancel', jobId }] })
const over = (result: SessionResult, force = false, ...before: SessionCommand[]): SessionStep => ({ state: { phase: 'over' }, commands: [...before, { kind: 'end', force, result }] })
