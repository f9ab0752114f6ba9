/**
 * The live view: ink puts the lines of `screen.ts` on the alternate screen, at most ten times a second. It is a reader of
 * events and a source of wishes (savepoint, cancel, leave); what becomes of a wish is the session's business.
 *
 * Loaded last and only for a terminal: importing ink takes longer than starting a job.
 */
import { Box, render, Text, useInput, useStdout } from 'ink'
import { useEffect, useState, useSyncExternalStore, type ReactElement } from 'react'
import { terminalJobStatuses } from '../../runtime/metrics/event.ts'
import { emptyClusterView, type ClusterView } from './cluster-view.ts'
import { drawScreen, type ScreenState } from './screen.ts'

const frameMillis = 100
/** The cluster sends metrics every second; without any for longer, what is shown is old and says so. */
const staleMillis = 3_000

export type Wish = { readonly kind: 'savepoint' } | { readonly kind: 'cancel' } | { readonly kind: 'interrupt' }

export interface LiveView {
  show(view: ClusterView): void
  /** A short text instead of the keys, for some seconds. */
  notice(text: string): void
  /** Leaves the alternate screen; everything printed after it stays. Safe to call twice. */
  close(): Promise<void>
}

/** A store outside of React: events come a thousand times more often than frames. */
export class ViewStore {
  #view: ClusterView = emptyClusterView
  #shown: ClusterView = emptyClusterView
  #notice: { readonly text: string; readonly until: number } | undefined
  readonly #listeners = new Set<() => void>()

  set(view: ClusterView): void {
    this.#view = view
  }
  say(text: string, until: number): void {
    this.#notice = { text, until }
  }
  noticeAt(now: number): string | undefined {
    return this.#notice !== undefined && now < this.#notice.until ? this.#notice.text : undefined
  }
  /** Publishes what was set since; React renders once for it. */
  publish(): void {
    if (this.#shown === this.#view) return
    this.#shown = this.#view
    for (const listener of this.#listeners) listener()
  }
  readonly subscribe = (listener: () => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  readonly shown = () => this.#shown
}

export interface ScreenProps {
  readonly store: ViewStore
  readonly onWish: (wish: Wish) => void
  readonly now: () => number
}

export function Screen({ store, onWish, now }: ScreenProps): ReactElement {
  const view = useSyncExternalStore(store.subscribe, store.shown)
  // ink's type is narrower than what it hands out: the terminal that `render` was given.
  const stdout = useStdout().stdout as NodeJS.WriteStream
  const [size, setSize] = useState(() => sizeOf(stdout))
  const [selected, setSelected] = useState(0)
  const [dialog, setDialog] = useState<ScreenState['dialog']>('none')
  const [time, setTime] = useState(now)

  useEffect(() => {
    const onResize = () => setSize(sizeOf(stdout))
    stdout.on('resize', onResize)
    return () => void stdout.off('resize', onResize)
  }, [stdout])
  useEffect(() => {
    const timer = setInterval(() => {
      store.publish()
      setTime(now())
    }, frameMillis)
    return () => clearInterval(timer)
  }, [store, now])

  useInput((input, key) => {
    if (key.ctrl && input === 'c') return onWish({ kind: 'interrupt' })
    if (dialog === 'help') return setDialog('none')
    if (dialog === 'cancel' || dialog === 'quit') {
      setDialog('none')
      if (input === 'y') onWish({ kind: 'cancel' })
      return
    }
    const last = Math.max(0, (view.job?.vertices.length ?? 1) - 1)
    if (key.upArrow || input === 'k') setSelected(Math.max(0, selected - 1))
    else if (key.downArrow || input === 'j') setSelected(Math.min(last, selected + 1))
    else if (input === 's') onWish({ kind: 'savepoint' })
    else if (input === 'c') setDialog('cancel')
    else if (input === 'q') setDialog('quit')
    else if (input === '?') setDialog('help')
  })

  const ended = view.job !== undefined && terminalJobStatuses.has(view.job.status)
  const silence = time - view.at
  const lines = drawScreen(view, {
    ...size,
    now: time,
    selected,
    dialog,
    notice: store.noticeAt(time),
    stale: view.job?.status === 'RUNNING' && !ended && silence > staleMillis ? silence : undefined,
  })
  return (
    <Box flexDirection="column">
      {lines.map((line, i) => (
        // A row is what it is by its place; ink drops an empty Text, a space keeps the row.
        <Text key={i} wrap="truncate">{line === '' ? ' ' : line}</Text>
      ))}
    </Box>
  )
}

const sizeOf = (stdout: NodeJS.WriteStream) => ({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 })

export function openView(onWish: (wish: Wish) => void): LiveView {
  const store = new ViewStore()
  const instance = render(<Screen store={store} onWish={onWish} now={Date.now} />, {
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: 1_000 / frameMillis,
    exitOnCtrlC: false,
    patchConsole: false,
  })
  // Whatever ends this process in a way it can see, the terminal is given back as it was.
  const restore = () => instance.cleanup()
  process.once('exit', restore)
  let closed: Promise<void> | undefined
  return {
    show: view => store.set(view),
    notice: text => store.say(text, Date.now() + 4_000),
    close: () =>
      (closed ??= (async () => {
        instance.unmount()
        await instance.waitUntilExit()
        instance.cleanup()
        process.off('exit', restore)
      })()),
  }
}
