/**
 * The standard streams of a worker thread. Node makes all three when one is touched, 2 ms, and touches one in each thread that it
 * starts, only to end its standard input. Ours are made when somebody asks for one.
 */

/** For `new Worker`: it does not touch them. The thread calls `endStdinWhenAsked`. */
export const untouchedStdin = { stdin: true } as const

/** Nobody writes to it: whoever reads finds its end, as in any other thread. */
export function endStdinWhenAsked(): void {
  whenAsked('stdin', stdin => void stdin.push(null))
}

/** `change` happens before anybody has the stream. */
export function whenAsked<Name extends 'stdin' | 'stdout' | 'stderr'>(name: Name, change: (stream: (typeof process)[Name]) => void): void {
  const own = Object.getOwnPropertyDescriptor(process, name)
  if (own?.get === undefined) return change(process[name])
  Object.defineProperty(process, name, {
    ...own,
    get() {
      Object.defineProperty(process, name, own)
      change(process[name])
      return process[name]
    },
  })
}
