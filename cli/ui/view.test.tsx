import { render } from 'ink-testing-library'
import { expect, test } from 'vitest'
import { story, storyStart } from './example-events.ts'
import { emptyClusterView, foldEvent } from './cluster-view.ts'
import { Screen, ViewStore, type Wish } from './view.tsx'

/** Keys are read in a later turn of the loop; the screen is polled until it shows what is expected. */
async function shows(frame: () => string | undefined, text: string): Promise<void> {
  await expect.poll(() => frame(), { timeout: 5_000, interval: 10 }).toContain(text)
}

test('keys select, ask, and become wishes', async () => {
  const store = new ViewStore()
  store.set(story.reduce(foldEvent, emptyClusterView))
  const wishes: Wish[] = []
  const { lastFrame, stdin, unmount } = render(<Screen store={store} onWish={wish => wishes.push(wish)} now={() => storyStart + 2_500} />)
  await shows(lastFrame, '> Source: flights')
  stdin.write('\u001B[B')
  await shows(lastFrame, '> Window(tumbling')
  stdin.write('s')
  stdin.write('?')
  await shows(lastFrame, 'select a task')
  stdin.write('x')
  await shows(lastFrame, '? help  q quit')
  stdin.write('c')
  await shows(lastFrame, 'Cancel the job?')
  stdin.write('n')
  await shows(lastFrame, '? help  q quit')
  stdin.write('q')
  await shows(lastFrame, 'That cancels the job')
  stdin.write('y')
  await shows(lastFrame, '? help  q quit')
  stdin.write('\u0003')
  await expect.poll(() => wishes).toEqual([{ kind: 'savepoint' }, { kind: 'cancel' }, { kind: 'interrupt' }])
  unmount()
})
