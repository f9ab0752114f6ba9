/** All commands, for help. Each is light; what it needs to do its work it imports when it runs. */
import { Cancel } from './commands/cancel.ts'
import { Demo } from './commands/demo.ts'
import { Explain } from './commands/explain.ts'
import { Help } from './commands/help.ts'
import { List } from './commands/list.ts'
import { New } from './commands/new.ts'
import type { CommandName } from './commands/names.ts'
import { Nexmark } from './commands/nexmark.ts'
import { Run } from './commands/run.ts'
import { Savepoint } from './commands/savepoint.ts'
import { Stop } from './commands/stop.ts'

export const commands = { new: New, run: Run, list: List, savepoint: Savepoint, stop: Stop, cancel: Cancel, explain: Explain, demo: Demo, nexmark: Nexmark, help: Help } satisfies Record<CommandName, unknown>
