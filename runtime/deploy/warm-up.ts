/** When what a restart would wait for is started ahead: threads and processes that nobody needs yet. */

/**
 * After a job has started, or has caught up after a restart, not to take the processors away from it. Threads of slots and of
 * enumerators, and the process that stands by.
 */
export const warmAfterMs = 5_000
