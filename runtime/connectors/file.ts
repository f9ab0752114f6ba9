/** Files of records, read and written: the package entry `flink-ts/connectors/file`. */
export { fileSource, type FileSourceOptions, type FileSplit } from './file-source.ts'
export { fileSink, type FileSinkOptions, type FileCommittable } from './file-sink.ts'
export { csv, json, text, type ColumnType, type Format } from './format.ts'
