/**
 * The memory that frames of records are written into and read from, to be used again. Memory outside the heap costs far
 * more to get (it is cleared, and its end is the garbage collector's business) than to fill.
 *
 * Whoever owns a frame when nobody needs it any more gives it back: the socket's writer when the frame is on its way, the
 * input channel when it is decoded. One that is not given back is simply garbage.
 */

/** Frames are of 128 KiB at most, and a few somewhat longer. */
const capacity = 160 * 1024
/** In front of a frame, for its length. */
const room = 4
/** Shorter frames are cheaper than a buffer that nothing else can use meanwhile. */
const shortest = 2 * 1024
/** Free buffers that are kept. */
const kept = 64

export class FrameBuffers {
  readonly #free: Uint8Array<ArrayBuffer>[] = []
  readonly #poison: boolean

  /** `poison`: what is given back is overwritten at once, so that a simulation finds who still reads it. */
  constructor(options: { readonly poison?: boolean } = {}) {
    this.#poison = options.poison ?? false
  }

  /** So many bytes, of any content. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length < shortest || length > capacity - room) return new Uint8Array(length)
    return (this.#free.pop() ?? new Uint8Array(capacity)).subarray(room, room + length)
  }

  /** Nobody reads or writes the frame any more. */
  give(frame: Uint8Array): void {
    if (this.#poison) frame.fill(0xdb)
    const { buffer } = frame
    if (!isOurs(frame) || !(buffer instanceof ArrayBuffer) || this.#free.length === kept) return
    this.#free.push(new Uint8Array(buffer))
  }

  /** The frame with four bytes in front of it that nobody uses; undefined if there are none. */
  withRoom(frame: Uint8Array): Uint8Array | undefined {
    return isOurs(frame) ? new Uint8Array(frame.buffer, 0, room + frame.length) : undefined
  }
}

const isOurs = ({ buffer, byteOffset }: Uint8Array) => byteOffset === room && buffer.byteLength === capacity
