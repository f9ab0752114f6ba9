/**
 * Listens on a Unix socket. `server.listen` loads `node:cluster` first, which none of our processes is part of, with all that
 * starts processes: 2 ms in each thread of a start. So what it calls then is called directly, where this Node has it.
 */
import type { Server } from 'node:net'

export function listenAt(server: Server, path: string, listening: () => void): void {
  const direct = (server as { readonly _listen2?: (path: string, port: -1, addressType: -1) => void })._listen2
  if (direct === undefined) return void server.listen(path, listening)
  server.once('listening', listening)
  direct.call(server, path, -1, -1)
}
