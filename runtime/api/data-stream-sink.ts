/** What `sinkTo` and `print` return: nothing comes after it, but the sink can still be named and tuned. */
import type { SinkTransformation } from '../graph/transformation.ts'
import type { JobBuilder } from './builder.ts'
import { parallelismOption, textOption } from './refuse.ts'

/** The end of a stream. Flink `DataStreamSink`. */
export class DataStreamSink {
  readonly #builder: JobBuilder
  readonly #node: SinkTransformation

  /** @internal */
  constructor(builder: JobBuilder, node: SinkTransformation) {
    this.#builder = builder
    this.#node = node
  }

  /** The identity of the sink's state in savepoints, and its name in the test kit; see `SingleOutputStreamOperator.uid`. */
  uid(id: string): this {
    textOption(id, 'uid')
    this.#builder.set(this.#node, 'uid', id)
    return this
  }

  /** Its name in plans, metrics and logs. */
  name(name: string): this {
    textOption(name, 'name')
    this.#builder.set(this.#node, 'name', name)
    return this
  }

  /** Subtasks of the sink, 1 to 32,768. */
  setParallelism(parallelism: number): this {
    this.#builder.set(this.#node, 'parallelism', parallelismOption(parallelism, 'setParallelism'))
    return this
  }

  /** See `SingleOutputStreamOperator.setMaxParallelism`. */
  setMaxParallelism(maxParallelism: number): this {
    this.#builder.set(this.#node, 'maxParallelism', parallelismOption(maxParallelism, 'setMaxParallelism'))
    return this
  }

  /** Makes the sink a task of its own. */
  disableChaining(): this {
    this.#builder.set(this.#node, 'chaining', 'never')
    return this
  }

  /** See `SingleOutputStreamOperator.slotSharingGroup`. */
  slotSharingGroup(group: string): this {
    textOption(group, 'slotSharingGroup')
    this.#builder.set(this.#node, 'slotSharingGroup', group)
    return this
  }
}
