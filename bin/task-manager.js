#!/usr/bin/env node
// The process of one TaskManager; its slots are worker threads. Started by the CLI or by a detached JobManager, never by hand.
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('../dist/runtime/task-manager/main.js')
