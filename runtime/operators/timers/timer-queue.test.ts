import { expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { TimerQueue } from './timer-queue.ts'

const drain = (queue: TimerQueue, until: number) => {
  const out: string[] = []
  for (let timer = queue.takeUntil(until); timer !== undefined; timer = queue.takeUntil(until)) out.push(`${String(timer.key)}@${timer.timestamp}`)
  return out
}

test('M1 one timer per key and timestamp; delete is exact, and nothing where there is none', () => {
  const queue = new TimerQueue()
  expect([queue.add(5, 'a', 0), queue.add(5, 'a', 0), queue.add(5, 'b', 0), queue.add(6, 'a', 0)]).toEqual([true, false, true, true])
  expect([queue.delete(5, 'c'), queue.delete(7, 'a'), queue.delete(5, 'b'), queue.delete(5, 'b')]).toEqual([false, false, true, false])
  expect(drain(queue, 10)).toEqual(['a@5', 'a@6'])
  expect([queue.size, queue.next()]).toEqual([0, Infinity])
})

test('M3 fires by ascending timestamp over all keys, far jumps and times before 1970 included', () => {
  const queue = new TimerQueue()
  const times = [1.7e12, -5, 3, 1_000_000, 1.7e12 - 1, -2_000, 1024, 1023, Infinity, 9e15]
  times.forEach((time, i) => queue.add(time, i, 0))
  expect(drain(queue, 1_000_000)).toEqual(['5@-2000', '1@-5', '2@3', '7@1023', '6@1024', '3@1000000'])
  expect(drain(queue, Infinity)).toEqual(['4@1699999999999', '0@1700000000000', '9@9000000000000000', '8@Infinity'])
})

test('many keys at one time, and many times in one page, are all there', () => {
  const queue = new TimerQueue()
  for (let key = 0; key < 500; key++) queue.add(Infinity, key, 0)
  for (let time = 999; time >= 0; time--) queue.add(time, 'k', 0)
  for (let key = 0; key < 500; key += 2) queue.delete(Infinity, key)
  expect(drain(queue, 998)).toHaveLength(999)
  expect([queue.next(), queue.size]).toEqual([999, 251])
  expect(drain(queue, Infinity)).toHaveLength(251)
})

test('behaves as a sorted list under random use', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed)
    const queue = new TimerQueue()
    let model: { time: number; key: number }[] = []
    const spread = random.pick([20, 2_000, 3_000_000])
    let now = random.pick([0, 1.6e12])
    for (let step = 0; step < 400; step++) {
      const time = now + random.int(spread) - random.int(5)
      const key = random.int(4)
      const known = model.some(timer => timer.time === time && timer.key === key)
      if (random.chance(0.6)) {
        expect(queue.add(time, key, 0), `seed ${seed}`).toBe(!known)
        if (!known) model.push({ time, key })
      } else if (random.chance(0.5)) {
        const victim = model.length > 0 && random.chance(0.8) ? random.pick(model) : { time, key }
        expect(queue.delete(victim.time, victim.key), `seed ${seed}`).toBe(model.some(timer => timer.time === victim.time && timer.key === victim.key))
        model = model.filter(timer => timer.time !== victim.time || timer.key !== victim.key)
      } else {
        now += random.int(spread / 4)
        const due = model.filter(timer => timer.time <= now)
        model = model.filter(timer => timer.time > now)
        const fired = drain(queue, now)
        expect(fired.toSorted(), `seed ${seed}`).toEqual(due.map(timer => `${timer.key}@${timer.time}`).toSorted())
        const times = fired.map(text => Number(text.split('@')[1]))
        expect(times, `seed ${seed}`).toEqual(times.toSorted((a, b) => a - b))
      }
      expect(queue.size, `seed ${seed}`).toBe(model.length)
      expect(queue.next(), `seed ${seed}`).toBe(model.length === 0 ? Infinity : Math.min(...model.map(timer => timer.time)))
    }
  }
})

test('a snapshot is of one instant: it gets every timer that is set when it begins, once, and no later one, whatever happens meanwhile', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed)
    const queue = new TimerQueue()
    const set = new Set<string>()
    const spread = random.pick([3, 20, 2_000, 3_000_000])
    let now = 0
    const use = (steps: number) => {
      for (let step = 0; step < steps; step++) {
        const time = now + random.int(spread)
        const key = random.int(40)
        const choice = random.int(10)
        if (choice < 6) {
          queue.add(time, key, 0)
          set.add(`${key}@${time}`)
        } else if (choice < 9) {
          const victim = set.size > 0 && random.chance(0.8) ? random.pick([...set]) : `${key}@${time}`
          const [of, at] = victim.split('@').map(Number) as [number, number]
          queue.delete(at, of)
          set.delete(victim)
        } else if (random.chance(0.1)) {
          now += random.int(spread)
          for (const fired of drain(queue, now)) set.delete(fired)
        }
      }
    }
    use(random.int(600))
    for (let snapshot = 0; snapshot < 5; snapshot++) {
      const expected = [...set].sort()
      const got: string[] = []
      const visits = queue.startSnapshot(timer => got.push(`${String(timer.key)}@${timer.timestamp}`))
      const aborted = random.chance(0.2)
      for (let steps = 0; aborted ? steps < 3 : visits.next().done !== true; steps++) use(random.int(4))
      queue.endSnapshot()
      if (!aborted) expect(got.sort(), `seed ${seed}`).toEqual(expected)
      use(100)
    }
  }
})

test('a snapshot visits nothing when it begins, and ends although timers are set faster than it visits them', () => {
  const queue = new TimerQueue()
  for (let key = 0; key < 10_000; key++) queue.add(1 + (key % 3), key, 0)
  let taken = 0
  const visits = queue.startSnapshot(() => taken++)
  expect(taken).toBe(0)
  let visited = 0
  for (let key = 10_000; visits.next().done !== true; visited++) {
    for (let i = 0; i < 3; i++) queue.add(2 + i, key++, 0)
    if (visited > 1_000_000) throw new Error('runs after what is new for ever')
  }
  expect(taken).toBe(10_000)
  expect(visited).toBeLessThan(100_000)
})
