/**
 * The events of a cluster, over the control socket of its JobManager: for whoever started it and has its token. Others ask the
 * REST API, which is loaded when it is asked; `run` need not wait for that, on either side.
 */
import { FlinkError } from '../core/errors.ts'
import type { RuntimeEvent } from '../metrics/event.ts'
import { eventFromJson } from '../protocol/event-json.ts'
import type { Watch, WatchedEvents } from '../protocol/watch.ts'
import { openConnection, type Connection } from '../rpc/connection.ts'

/**
 * From number `from` on, as they happen. Ends when `signal` is aborted.
 *
 * @throws {FlinkError} NO_CLUSTER when nobody listens, or the JobManager is gone
 */
export async function* watchEvents(controlSocket: string, token: string, from: number, signal: AbortSignal): AsyncIterable<RuntimeEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let lines: string[] = []
  let wake = () => {}
  let lost: string | undefined
  let connection: Connection<Watch, WatchedEvents> | undefined
  const message = ({ kind, bytes }: WatchedEvents) => {
    // It may say good-bye as well.
    if (kind !== 'events') return
    const whole = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = whole.pop() as string
    lines.push(...whole)
    // The next ones come when these have been taken: what waits here is what one read of the socket gave.
    connection?.pause()
    wake()
  }
  const end = (reason: string) => {
    lost = reason
    wake()
  }
  try {
    connection = await openConnection<Watch, WatchedEvents>(controlSocket, token, { message, end: ended => end(ended.kind === 'closed' ? 'it was closed' : ended.reason) })
  } catch (error) {
    throw gone((error as Error).message, error)
  }
  const watching = connection
  const aborted = () => watching.close()
  signal.addEventListener('abort', aborted, { once: true })
  try {
    if (signal.aborted) return
    watching.send({ kind: 'watch', from })
    for (;;) {
      const arrived = lines
      lines = []
      for (const line of arrived) yield eventFromJson(line)
      if (signal.aborted) return
      if (lines.length > 0) continue
      if (lost !== undefined) throw gone(lost)
      await new Promise<void>(resolve => {
        wake = resolve
        watching.resume()
      })
    }
  } finally {
    signal.removeEventListener('abort', aborted)
    watching.close()
  }
}

const gone = (reason: string, cause?: unknown) => new FlinkError('NO_CLUSTER', `the cluster does not answer: ${reason}`, { cause })
