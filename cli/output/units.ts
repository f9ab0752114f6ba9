/** Numbers as people read them: bytes, counts, rates, run times, moments. */

/** `1.5 MiB`; three digits at most. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], ' ')
}

/** `12.3k`; below a thousand the number itself. */
export function formatCount(count: number): string {
  return scaled(count, 1000, ['', 'k', 'M', 'G', 'T'], '')
}

function scaled(value: number, base: number, units: readonly string[], space: string): string {
  let unit = 0
  let scaled = value
  while (unit < units.length - 1 && Math.abs(scaled) >= base - 0.5) {
    scaled /= base
    unit++
  }
  const digits = unit === 0 || Math.abs(scaled) >= 99.95 ? 0 : 1
  return `${scaled.toFixed(digits)}${units[unit] === '' ? '' : space + units[unit]}`
}

/** A length of time: `340 ms`, `4.2 s`, `3m 05s`, `2h 03m`, `4d 02h`. */
export function formatElapsed(millis: number): string {
  if (millis < 1_000) return `${Math.max(0, Math.round(millis))} ms`
  if (millis < 60_000) return `${(Math.floor(millis / 100) / 10).toFixed(1)} s`
  const seconds = Math.floor(millis / 1_000)
  const two = (value: number) => String(value).padStart(2, '0')
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ${two(Math.floor(seconds / 60) % 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${two(Math.floor(seconds / 3_600) % 24)}h`
}

/** Time of day in the machine's zone, `12:03:04.005`. */
export function formatTimeOfDay(at: number): string {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** Event time in UTC, `2001-01-01 00:10:00`; what JavaScript's dates cannot hold stays a number. */
export function formatEventTime(at: number): string {
  if (Math.abs(at) > 8.64e15) return String(at)
  return new Date(at).toISOString().replace('T', ' ').replace(/(\.000)?Z$/, '')
}
