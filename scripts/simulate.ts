/**
 * Many seeds of the simulator, on both cores: `npm run sim -- --seeds 20000`, one seed again: `npm run sim -- --seed 8123`,
 * a planted bug: `npm run sim -- --bug noAlignment`. Ends with 1 if a seed fails (with a bug: if none does).
 */
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { simulate } from '../runtime/testing/simulator/simulate.ts'
import type { PlantedBugs } from '../runtime/testing/simulator/planted-bugs.ts'

interface Share {
  readonly from: number
  readonly to: number
  readonly step: number
  readonly bug: keyof PlantedBugs | undefined
}

if (isMainThread) await main()
else runShare(workerData as Share)

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seeds: { type: 'string', default: '20000' }, from: { type: 'string', default: '1' }, seed: { type: 'string' }, bug: { type: 'string' } } })
  const bug = values.bug as keyof PlantedBugs | undefined
  if (values.seed !== undefined) {
    const result = simulate(Number(values.seed), bug === undefined ? {} : { [bug]: true })
    console.log(result.summary, result.traceHash)
    for (const problem of result.problems) console.log(`  ${problem}`)
    process.exit(result.problems.length === 0 ? 0 : 1)
  }
  const from = Number(values.from)
  const to = from + Number(values.seeds)
  let failed = 0
  let done = 0
  const shares = [0, 1].map(
    share =>
      new Promise<void>((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: { from: from + share, to, step: 2, bug } satisfies Share })
        worker.on('message', ({ seed, problems, summary }: { seed: number; problems: string[]; summary: string }) => {
          done++
          if (problems.length > 0) {
            failed++
            console.log(`seed ${seed}: ${summary}\n  ${problems.join('\n  ')}\n  again with: npm run sim -- --seed ${seed}${bug === undefined ? '' : ` --bug ${bug}`}`)
            if (bug !== undefined) process.exit(0)
          }
          if (done % 500 === 0) console.log(`${done} seeds, ${failed} failed`)
        })
        worker.on('error', reject)
        worker.on('exit', () => resolve())
      }),
  )
  await Promise.all(shares)
  console.log(`${done} seeds, ${failed} failed`)
  process.exit((failed > 0) === (bug === undefined) ? 1 : 0)
}

function runShare({ from, to, step, bug }: Share): void {
  for (let seed = from; seed < to; seed += step) {
    const { problems, summary } = simulate(seed, bug === undefined ? {} : { [bug]: true })
    parentPort?.postMessage({ seed, problems, summary })
  }
}
