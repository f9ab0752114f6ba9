/**
 * The HTTP side of the REST API: sockets, limits, bodies, errors, and the stream of events. What is answered stands in
 * `routes.ts`. Everything a client can make us hold has a bound: 10 s for headers, a body limit per route, and for a reader of
 * events that is too slow nothing at all (it misses events and is told so). How many connect, who listens for it decides.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { AssertionFailure } from '../../core/assert.ts'
import { errorTable, errorToData, exitCodes, FlinkError, type ErrorData } from '../../core/errors.ts'
import type { RestErrors } from '../../protocol/rest.ts'
import { sameToken } from '../../rpc/token.ts'
import { feedEvents } from '../event-feed.ts'
import type { JobManager } from '../job-manager.ts'
import { routes } from './routes.ts'

export interface RestServerOptions {
  /** What `Authorization: Bearer` must carry; undefined: whoever reaches the socket may speak. */
  readonly token: string | undefined
  /** A bug of ours showed in a request: the process should stop rather than go on with it. */
  readonly onBug: (error: unknown) => void
}

/** Not listening yet: `listenForRest`, or `server.listen(path)`. */
export function createRestServer(manager: JobManager, options: RestServerOptions): Server {
  // Loaded here, when there is somebody to answer.
  const { createServer } = process.getBuiltinModule('node:http')
  return createServer({ headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000, maxHeaderSize: 16 * 1024 }, (request, response) => {
    handle(manager, options, request, response).catch((error: unknown) => {
      if (error instanceof AssertionFailure) options.onBug(error)
      fail(response, error)
    })
  })
}

async function handle(manager: JobManager, options: RestServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (options.token !== undefined) {
    const given = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (given === undefined || !sameToken(given, options.token)) return refuse(response, 401, 'a bearer token is needed')
  }
  const [rawPath, rawQuery = ''] = (request.url ?? '/').split('?', 2) as [string, string?]
  const path = rawPath.replace(/^\/v1(?=\/)/, '')
  const query = new URLSearchParams(rawQuery)
  if (path === '/flink-ts/events' && request.method === 'GET') return streamEvents(manager, query, response)
  const matching = routes.filter(route => route.path.test(path))
  const route = matching.find(each => each.method === request.method)
  if (!route) return refuse(response, matching.length > 0 ? 405 : 404, matching.length > 0 ? `${request.method} is not possible here` : 'not found')
  const body = await readBody(request, route.bodyLimit)
  if (body === undefined) return refuse(response, 413, `the body is longer than ${route.bodyLimit} bytes`)
  const answer = route.answer(manager, { ids: route.path.exec(path)?.groups ?? {}, query, body: parseBody(body) })
  send(response, answer.status, answer.body)
  if (answer.then) response.once('finish', answer.then)
}

/** Undefined when it is too long; the rest is not read. */
async function readBody(request: IncomingMessage, limit: number): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return undefined
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > limit) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseBody(text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FlinkError('INVALID_OPTION', `the body is not JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FlinkError('INVALID_OPTION', 'the body is not a JSON object')
  return value as Record<string, unknown>
}

/** `from` is the number of the first event that is wanted. */
function streamEvents(manager: JobManager, query: URLSearchParams, response: ServerResponse): void {
  const wanted = query.get('from') ?? '0'
  if (!/^[0-9]{1,15}$/.test(wanted)) return refuse(response, 400, 'from is not a number')
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  response.flushHeaders()
  const stop = feedEvents(manager.journal, Number(wanted), (lines, taken) => void response.write(lines, taken))
  response.on('close', stop)
  response.on('error', stop)
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return void response.destroy()
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
  response.end(text)
}

function refuse(response: ServerResponse, status: number, message: string, error?: ErrorData): void {
  // What was not read of the body must not be taken for the next request.
  response.shouldKeepAlive = false
  send(response, status, { errors: [message], ...(error && { error }) } satisfies RestErrors)
}

function fail(response: ServerResponse, error: unknown): void {
  const data = errorToData(error, 'JOB_FAILED')
  refuse(response, error instanceof FlinkError ? statusOf(error) : 500, data.message, data)
}

function statusOf({ code }: FlinkError): number {
  switch (exitCodes[errorTable[code].exit]) {
    case exitCodes.notFound:
      return 404
    case exitCodes.usage:
    case exitCodes.build:
      return 400
    default:
      return code === 'SAVEPOINT_FAILED' ? 409 : 500
  }
}
