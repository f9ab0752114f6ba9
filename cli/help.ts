/** The pages of help. oclif writes them, and only here all of it is loaded. */
import { Config, Help, settings } from '@oclif/core'
import { packageDirectory, packageManifest } from './bundle/installation.ts'

/** Of one command, or of them all. */
export async function showHelp(command?: string): Promise<void> {
  // Without this, oclif looks for a TypeScript compiler when NODE_ENV is `test` or `development`.
  settings.enableAutoTranspile = false
  const config = await Config.load({ root: packageDirectory, pjson: { ...packageManifest(), oclif } as never, ignoreManifest: true })
  const help = new Help(config)
  const found = command === undefined ? undefined : config.findCommand(command)
  if (found === undefined) await help.showHelp([])
  else await help.showCommandHelp(found)
}

const oclif = {
  bin: 'flink-ts',
  dirname: 'flink-ts',
  topicSeparator: ' ',
  commands: { strategy: 'explicit', target: './dist/cli/commands.js', identifier: 'commands' },
}
