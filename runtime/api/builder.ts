/**
 * Collects the transformations of one job while its function runs. A node may still be named, given a uid or another
 * parallelism (`.uid('x')` comes after the call that made it) until `finish`; then everything is frozen, and whoever
 * kept a stream for later is refused.
 */
import type { JobCodeConfig, JobDefinition, OperatorNode, Transformation } from '../graph/transformation.ts'
import { locate } from './position.ts'
import { refuse } from './refuse.ts'

export type Draft<N> = { -readonly [P in keyof N]: N[P] }
/** What the user may still set on an operator. */
export type OperatorSettings = Draft<Omit<OperatorNode, 'id' | 'at'>>

export class JobBuilder {
  readonly #name: string
  readonly #nodes: Transformation[] = []
  readonly #config: Draft<JobCodeConfig> = {}
  #finished = false

  constructor(name: string) {
    this.#name = name
  }

  /** Ids are given in the order of calls, so that each process that evaluates the bundle numbers alike. */
  add<N extends Transformation>(node: Omit<N, 'id' | 'at'>): N {
    this.#refuseWhenFinished()
    // `Omit` forgets that what is left out of N and put back gives N again.
    const whole = locate({ ...node, id: this.#nodes.length + 1 }) as N
    this.#nodes.push(whole)
    return whole
  }

  /** The node is ours until `finish`, so the settings are written in place. */
  set<P extends keyof OperatorSettings>(node: OperatorNode, property: P, value: NonNullable<OperatorSettings[P]>): void {
    this.#refuseWhenFinished()
    const draft: OperatorSettings = node
    draft[property] = value
  }

  configure<P extends keyof JobCodeConfig>(property: P, value: NonNullable<JobCodeConfig[P]>): void {
    this.#refuseWhenFinished()
    this.#config[property] = value
  }

  finish(): JobDefinition {
    this.#finished = true
    for (const node of this.#nodes) Object.freeze(node)
    return Object.freeze({ name: this.#name, transformations: Object.freeze(this.#nodes), config: Object.freeze(this.#config) })
  }

  #refuseWhenFinished() {
    if (!this.#finished) return
    refuse('INVALID_GRAPH', `job "${this.#name}" is built already`, {
      hint: 'Use the environment and its streams only inside the function given to job(...), and not after an await.',
    })
  }
}
