/**
 * ms from any origin, which never go backwards. Not `performance.now`: Node loads all of `perf_hooks` for the first call in a
 * process or thread, 2 ms, and a small cluster has nine of them.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1_000_000
}
