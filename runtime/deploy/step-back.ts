/**
 * Work that nobody waits for steps back behind that of slots, whose records come later by whatever else wants the processors:
 * once in each checkpoint that is the JobManager, the threads that write files, and V8's compiler.
 *
 * Linux only: elsewhere a priority is that of the whole process. A thread that is started has the priority of the one that
 * starts it, and nobody but root gets back what was given away: so whoever starts slots must not step back itself.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** A nice value: where both want a processor, a third of what a slot gets. Far less would leave new code slow for long while slots are busy. */
const behind = 5

/** The calling thread, and those that it starts from now on. */
export function stepBack(): void {
  attempt(() => setPriority(0, behind))
}

/** The calling process, which leads a session, where Linux shares the processors out by session (`autogroup`); what it starts in sessions of their own does not. */
export function processStepsBack(): void {
  attempt(() => writeFileSync('/proc/self/autogroup', String(behind)))
}

/** V8's own threads of this process, which compile, and help to collect garbage. */
export function compilerStepsBack(): void {
  attempt(() => {
    for (const thread of readdirSync('/proc/self/task')) {
      if (readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').trim() === 'V8Worker') setPriority(Number(thread), behind)
    }
  })
}

/** Without it everything works as well, a little later. */
function attempt(work: () => void): void {
  if (process.platform !== 'linux') return
  try {
    work()
  } catch {}
}
