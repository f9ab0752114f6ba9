/**
 * Cuts a byte stream into frames: u32 little-endian length, then the frame. What it yields is a copy of its own, so the
 * socket's buffer can be used again at once; its memory comes from `frameBuffers`. Holds at most one unfinished frame.
 */
import { maxFrameLength } from '../protocol/data.ts'
import { FrameBuffers } from '../core/frame-buffers.ts'
import { DecodeError } from './bytes.ts'

export class FrameSplitter {
  readonly #maxFrameLength: number
  readonly #frameBuffers: FrameBuffers
  readonly #header = new Uint8Array(4)
  #headerFilled = 0
  /** The frame under way; its whole length is reserved only after it was checked. */
  #frame: Uint8Array | undefined
  #filled = 0

  constructor(limit: number = maxFrameLength, frameBuffers = new FrameBuffers()) {
    this.#maxFrameLength = limit
    this.#frameBuffers = frameBuffers
  }

  /** True between frames: where a connection may end. */
  get atBoundary(): boolean {
    return this.#frame === undefined && this.#headerFilled === 0
  }

  #headerLength(): number {
    const header = this.#header
    return ((header[0] as number) | ((header[1] as number) << 8) | ((header[2] as number) << 16) | ((header[3] as number) << 24)) >>> 0
  }

  /** The frames that this chunk completes. @throws DecodeError for an empty or too long frame; the connection must be closed then. */
  push(chunk: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#frame === undefined) {
        while (this.#headerFilled < 4 && at < chunk.length) this.#header[this.#headerFilled++] = chunk[at++] as number
        if (this.#headerFilled < 4) break
        const length = this.#headerLength()
        if (length === 0 || length > this.#maxFrameLength) throw new DecodeError(`a frame of ${length} bytes, the limit is ${this.#maxFrameLength}`)
        this.#frame = this.#frameBuffers.take(length)
        this.#filled = 0
        this.#headerFilled = 0
      }
      const taken = Math.min(this.#frame.length - this.#filled, chunk.length - at)
      this.#frame.set(taken === chunk.length ? chunk : chunk.subarray(at, at + taken), this.#filled)
      this.#filled += taken
      at += taken
      if (this.#filled === this.#frame.length) {
        frames.push(this.#frame)
        this.#frame = undefined
      }
    }
    return frames
  }
}
