/** Stream elements as control frames and back; records and schemas are the channel codec's. */
import type { StreamElement } from '../core/batch.ts'
import { encodeFrame, type ControlFrame } from '../codec/frame.ts'

type ControlElement = Exclude<StreamElement, { kind: 'records' }>

export function encodeElement(channel: number, element: ControlElement): Uint8Array {
  switch (element.kind) {
    case 'idle':
    case 'active':
      return encodeFrame({ kind: 'status', channel, idle: element.kind === 'idle' })
    default:
      return encodeFrame({ ...element, channel })
  }
}

export function elementOf(frame: Exclude<ControlFrame, { kind: 'hello' | 'credit' }>): ControlElement {
  switch (frame.kind) {
    case 'status':
      return { kind: frame.idle ? 'idle' : 'active' }
    case 'watermark':
      return { kind: 'watermark', timestamp: frame.timestamp }
    case 'barrier':
      return { kind: 'barrier', barrier: frame.barrier }
    case 'endOfData':
      return { kind: 'endOfData', drained: frame.drained }
    case 'endOfPartition':
      return { kind: 'endOfPartition' }
  }
}
