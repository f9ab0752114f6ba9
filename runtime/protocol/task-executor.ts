/** What the JobManager tells a TaskManager. One way, in order; answers are messages of `job-master.ts`. */
import type { CheckpointBarrier } from '../core/batch.ts'
import type { Fence } from '../core/ids.ts'
import type { DeploymentText } from './deployment-text.ts'

export type ToTaskManager =
  /** Accepted: from now on this TaskManager belongs to this epoch. */
  | { readonly kind: 'registered'; readonly clusterId: string; readonly epoch: number; readonly heartbeatIntervalMs: number; readonly heartbeatTimeoutMs: number }
  | { readonly kind: 'heartbeat'; readonly sequence: number }
  /** Run this in slot `slotIndex`. Whatever the slot ran before (an older attempt) is ended first. */
  | { readonly kind: 'deploy'; readonly slotIndex: number; readonly deployment: DeploymentText; readonly checkpointDirectory: string }
  | { readonly kind: 'cancel'; readonly fence: Fence; readonly jobId: string }
  | { readonly kind: 'trigger'; readonly fence: Fence; readonly jobId: string; readonly barrier: CheckpointBarrier; readonly directory: string }
  | { readonly kind: 'checkpointComplete'; readonly fence: Fence; readonly jobId: string; readonly checkpointId: number }
  | { readonly kind: 'checkpointAborted'; readonly fence: Fence; readonly jobId: string; readonly checkpointId: number }
  | { readonly kind: 'addSplit'; readonly fence: Fence; readonly jobId: string; readonly operatorId: string; readonly subtask: number; readonly slot: number; readonly split: unknown }
  | { readonly kind: 'noMoreSplits'; readonly fence: Fence; readonly jobId: string; readonly operatorId: string; readonly subtask: number; readonly slot: number }
  | { readonly kind: 'shutdown'; readonly reason: string }
