/**
 * The control connection between a JobManager and a TaskManager: what `rpc/` does with Unix sockets. Messages arrive in
 * order and packed, as through a socket. It may be cut in one direction or both: then nothing arrives until the cut ends,
 * neither messages nor the news that the other end closed; heartbeats are how anybody finds out.
 */
import { packMessage, unpackMessage } from '../../codec/control.ts'
import type { Fence } from '../../core/ids.ts'
import type { FromTaskManager } from '../../protocol/job-master.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import type { VirtualTime } from './virtual-time.ts'

export type ConnectionEnd = 'JobManager' | 'TaskManager'

export interface ConnectionPorts {
  readonly time: VirtualTime
  delay(): number
  toJobManager(message: FromTaskManager): void
  toTaskManager(message: ToTaskManager): void
  /** One end learns that there is no connection any more. */
  closed(end: ConnectionEnd): void
  /** Planted bug: every message passes for one of this attempt. */
  readonly believe: ((jobId: string) => Fence | undefined) | undefined
}

export class Connection {
  readonly #ports: ConnectionPorts
  #closed = false
  #atJobManager = 0
  #atTaskManager = 0
  #cutUntil: Record<ConnectionEnd, number> = { JobManager: 0, TaskManager: 0 }
  /** Of what the TaskManager was told to run last. */
  #deployed: Fence | undefined

  constructor(ports: ConnectionPorts) {
    this.#ports = ports
  }

  toJobManager(message: FromTaskManager): void {
    if (this.#closed) return
    const bytes = packMessage(message)
    this.#plan('JobManager', () => this.#ports.toJobManager(this.#believed(unpackMessage(bytes) as FromTaskManager, jobId => this.#ports.believe?.(jobId))))
  }

  toTaskManager(message: ToTaskManager): void {
    if (this.#closed) return
    const bytes = packMessage(message)
    this.#plan('TaskManager', () => {
      const received = unpackMessage(bytes) as ToTaskManager
      if (received.kind === 'deploy') this.#deployed = received.deployment.fence
      this.#ports.toTaskManager(this.#believed(received, () => this.#deployed))
    })
  }

  /** Nothing reaches these ends for a while. */
  cut(ends: readonly ConnectionEnd[], millis: number): void {
    for (const end of ends) this.#cutUntil[end] = this.#ports.time.now + millis
  }

  /** What was sent before still arrives. The end that closes knows at once; the other when the news gets through. */
  close(by: ConnectionEnd): void {
    if (this.#closed) return
    this.#closed = true
    const other = by === 'JobManager' ? 'TaskManager' : 'JobManager'
    this.#ports.time.after(0, () => this.#ports.closed(by))
    this.#plan(other, () => this.#ports.closed(other))
  }

  #believed<M extends FromTaskManager | ToTaskManager>(message: M, present: (jobId: string) => Fence | undefined): M {
    if (this.#ports.believe === undefined || !('fence' in message) || message.jobId === undefined) return message
    return { ...message, fence: present(message.jobId) ?? message.fence }
  }

  #plan(end: ConnectionEnd, action: () => void): void {
    const { time } = this.#ports
    const last = end === 'JobManager' ? this.#atJobManager : this.#atTaskManager
    const at = Math.max(time.now + this.#ports.delay(), last, this.#cutUntil[end])
    if (end === 'JobManager') this.#atJobManager = at
    else this.#atTaskManager = at
    time.at(at, action)
  }
}
