/** `flink-ts`: everything a job is written with. Connectors and the test kit have entries of their own. */
export { count, max, mean, min, sum } from './api/aggregations.ts'
export type { Aggregation, AggregationResults, NamedAggregations } from './api/aggregations.ts'
export type {
  Committer,
  EnumeratorContext,
  PollResult,
  ReaderContext,
  Sink,
  SinkWriter,
  Source,
  SourceOutput,
  SourceReader,
  SplitEnumerator,
  WriterContext,
} from './api/connector.ts'
export type { DataStreamSink } from './api/data-stream-sink.ts'
export type { StreamExecutionEnvironment } from './api/environment.ts'
export { outputTag } from './api/functions.ts'
export type {
  AggregateFunction,
  Collector,
  KeyedContext,
  KeyedProcessFunction,
  OnTimerContext,
  OutputTag,
  ProcessContext,
  ProcessFunction,
  ProcessWindowFunction,
  TimerService,
  TimeWindow,
  WindowContext,
} from './api/functions.ts'
export { job } from './api/job.ts'
export type { Job, JobArguments } from './api/job.ts'
export { mapState, valueState } from './api/state.ts'
export type { DefaultedValueState, DefaultedValueStateDescriptor, MapState, MapStateDescriptor, StateDescriptors, StateOf, ValueState, ValueStateDescriptor } from './api/state.ts'
export type { DataStream, EventTime, KeyedStream, NoTime, NumericField, SingleOutputStreamOperator, Time, WindowedStream } from './api/streams.ts'
export type { WatermarkGenerator, WatermarkPolicy } from './api/time.ts'
export { boundedOutOfOrderness, monotonousTimestamps, noWatermarks, watermarkGenerator } from './api/watermarks.ts'
export type { WatermarkStrategy } from './api/watermarks.ts'
export type { WindowResultFunction } from './api/window-results.ts'
export { tumbling } from './api/windows.ts'
export type { WindowAssigner } from './api/windows.ts'
export { FlinkError } from './core/errors.ts'
export type { FileStat, FileSystem, ReadHandle, WriteHandle } from './core/files.ts'
export type { Duration, Timestamp } from './core/time.ts'
