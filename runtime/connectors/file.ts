/** Files of records, read and written: the package entry `flink-ts/connectors/file`. */
export { fileSource, type FileSourceOptions, type FileSplit } from './file-source.ts'
export { fileSink, type FileSinkOptions, type FileCommittable } from './file-sink.ts'
export { csv, type ColumnType } from './csv.ts'
export { json, text, type Format } from './format.ts'
