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
    expect([...queue].length, `seed ${seed}`).toBe(model.length)
  }
})
