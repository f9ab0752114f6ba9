/**
 * Work that nobody waits for steps back behind that of slots, whose records come later by whatever else wants the processors:
 * once in each checkpoint that is the JobManager and the threads that write files. V8's compiler does not: after a restart new code
 * is slow until it is compiled, and then a record waits for it.
 *
 * Linux only: elsewhere a priority is that of the whole process. A thread that is started has the priority of the one that
 * starts it, and nobody but root gets back what was given away: so whoever starts slots must not step back itself.
 */
import { writeFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** A nice value: where both want a processor, a third of what a slot gets. */
const behind = 5

/** The calling thread, and those that it starts from now on. */
export function stepBack(): void {
  attempt(() => {
    if (getPriority() < behind) setPriority(behind)
  })
}

/** The calling process, which leads a session, where Linux shares the processors out by session (`autogroup`); what it starts in sessions of their own does not. */
export function processStepsBack(): void {
  attempt(() => writeFileSync('/proc/self/autogroup', String(behind)))
}

/** Without it everything works as well, a little later. */
function attempt(work: () => void): void {
  if (process.platform !== 'linux') return
  try {
    work()
  } catch {}
}
