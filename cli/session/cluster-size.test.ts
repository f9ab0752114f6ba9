import { expect, test } from 'vitest'
import { clusterSize } from './cluster-size.ts'

test.each([
  // slots needed, cores, asked for -> TaskManagers x slots each
  [1, 2, {}, '1x1'],
  [2, 2, {}, '2x1'],
  [4, 2, {}, '2x2'],
  [7, 4, {}, '4x2'],
  [4, 16, {}, '4x1'],
  [4, 2, { taskmanagers: 1 }, '1x4'],
  [4, 2, { taskmanagers: 3 }, '3x2'],
  [4, 2, { slots: 1 }, '4x1'],
  [5, 2, { slots: 2 }, '3x2'],
  // Both are taken at their word; the cluster says when it is too little.
  [4, 2, { taskmanagers: 1, slots: 1 }, '1x1'],
] as const)('%i slots on %i cores with %j: %s', (slots, cores, asked, size) => {
  const { taskManagers, slotsPerTaskManager } = clusterSize(slots, cores, asked)
  expect(`${taskManagers}x${slotsPerTaskManager}`).toBe(size)
})
