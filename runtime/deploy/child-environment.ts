/**
 * The environment of a cluster's processes is a list of what is allowed (S28): user code sees no `NODE_OPTIONS`, no
 * `npm_*`, and no credentials unless they were named.
 */
const allowed: ReadonlySet<string> = new Set([
  'PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TMP', 'TEMP', 'TERM', 'COLORTERM', 'NO_COLOR', 'FORCE_COLOR',
  'XDG_RUNTIME_DIR', 'XDG_CACHE_HOME', 'NODE_COMPILE_CACHE', 'NODE_DISABLE_COMPILE_CACHE', 'NODE_ENV', 'CI',
])
const allowedPrefixes = ['LC_', 'FLINK_TS_']

/** `color`: whether the terminal at the end of it all shows colours; children write to files and pipes and cannot know. */
export function childEnvironment(
  environment: Readonly<Record<string, string | undefined>>, passed: readonly string[] = [], color?: boolean,
): Record<string, string> {
  const child: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue
    if (allowed.has(name) || passed.includes(name) || allowedPrefixes.some(prefix => name.startsWith(prefix))) child[name] = value
  }
  if (color && child['FORCE_COLOR'] === undefined && child['NO_COLOR'] === undefined) child['FORCE_COLOR'] = '1'
  return child
}
