/**
 * The arguments of a job: what stands after `--` on the command line, as the job's function gets it. They are part of
 * the job graph, so every process builds with the same ones.
 */
import { FlinkError } from '../core/errors.ts'

/**
 * Reads `--key value`, `--key=value` and `--flag` (which is `'true'`); the last of several wins. A value that starts with
 * `--` needs the form with `=`; a negative number does not. After Flink's `ParameterTool.fromArgs`.
 * Throws INVALID_OPTION for anything else.
 *
 * @example
 * parseJobArguments(['--input', 'a.csv', '--verbose', '--limit=-5']) // { input: 'a.csv', verbose: 'true', limit: '-5' }
 */
export function parseJobArguments(argv: readonly string[]): Readonly<Record<string, string>> {
  const found = new Map<string, string>()
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    const match = /^--([^\s=-][^\s=]*)(?:=([^]*))?$/.exec(word)
    if (!match) throw new FlinkError('INVALID_OPTION', `${JSON.stringify(word)} is not an argument of a job`, { hint: 'Write --key value, --key=value or --flag after the `--`.' })
    const key = match[1] as string
    const next = argv[i + 1]
    if (match[2] !== undefined) found.set(key, match[2])
    else if (next !== undefined && !next.startsWith('--')) {
      found.set(key, next)
      i++
    } else found.set(key, 'true')
  }
  return Object.freeze(Object.fromEntries(found))
}
