/**
 * Listens where the REST API is, and makes its server when somebody connects: HTTP takes longer to load than all that a
 * JobManager does before its first job, and most never answer a request.
 */
import type { Server as HttpServer } from 'node:http'
import { chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { listenAt } from '../../rpc/listen.ts'

export interface RestListener {
  /** Ends all connections too. */
  close(): void
}

const maxConnections = 100

/** Rejects when the socket cannot be bound. */
export function listenForRest(path: string, createHttp: () => HttpServer): Promise<RestListener> {
  const { promise, resolve, reject } = Promise.withResolvers<RestListener>()
  let http: HttpServer | undefined
  const server = createServer({ allowHalfOpen: true }, socket => {
    if (http === undefined) {
      http = createHttp()
      // It limits the time of requests from when it listens, which this one does for it.
      http.emit('listening')
    }
    http.emit('connection', socket)
  })
  server.maxConnections = maxConnections
  server.once('error', reject)
  listenAt(server, path, () => {
    chmodSync(path, 0o600)
    resolve({
      close() {
        server.close()
        http?.closeAllConnections()
      },
    })
  })
  return promise
}
