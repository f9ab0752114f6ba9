/**
 * What slots say to each other on their data sockets. A frame is a u32 little-endian length and one msgpack array:
 * `[type, channel, ...]`. Only the codec builds and reads the arrays (`codec/frame.ts`); this file names their types.
 */
export const frameType = {
  /** consumer -> producer, first on a connection: [0, protocolVersion, clusterId, token, epoch, jobId, attempt, consumerSlot, producerSlot] */
  hello: 0,
  /**
   * [1, channel, schemaId, size, bin timestamps | nil, bin hashes of the keys | nil, ...columns]; `exchange.codec: 'record'` has
   * no hashes. A column is one bin; with absent values one more before it; of text two, and nil or a bin of its dictionary,
   * which lasts from frame to frame (`codec/columns.ts`, `codec/dictionary.ts`).
   */
  records: 1,
  /** [2, channel, schemaId, schema]: what the columns of later frames are */
  schema: 2,
  /** [3, channel, timestamp as i64 text-free bin(8)] */
  watermark: 3,
  /** [4, channel, idle: bool] */
  status: 4,
  /** [5, channel, checkpointId, timestamp, kind] */
  barrier: 5,
  /** [6, channel, drained: bool] */
  endOfData: 6,
  /** [7, channel] */
  endOfPartition: 7,
  /** consumer -> producer: [8, channel, credits] more frames may be sent on this channel. Every frame takes one but schema and credit; a producer begins with `exchange.credits`. */
  credit: 8,
} as const
export const dataProtocolVersion = 3
/** A longer frame closes the connection. */
export const maxFrameLength = 64 * 1024 * 1024
