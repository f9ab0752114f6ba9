#!/usr/bin/env node
// The process of the JobManager. Started by the CLI, never by hand.
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('../dist/runtime/job-manager/main.js')
