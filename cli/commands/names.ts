/** What `flink-ts <name>` may be. Here, so that a name can be looked at before any command is loaded. */
export const commandNames = ['new', 'run', 'list', 'savepoint', 'stop', 'cancel', 'explain', 'demo', 'nexmark', 'help'] as const
export type CommandName = (typeof commandNames)[number]

export const isCommandName = (text: string): text is CommandName => (commandNames as readonly string[]).includes(text)
