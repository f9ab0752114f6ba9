/** Runs `npm install` in a new project; what npm says goes to standard error. */
import { spawn } from 'node:child_process'

/** @returns whether it succeeded; npm has told why not */
export function install(directory: string): Promise<boolean> {
  return new Promise(resolve => {
    process.stderr.write('installing packages with npm ...\n')
    const npm = spawn('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: directory, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
    npm.once('error', error => {
      process.stderr.write(`could not start npm: ${error.message}\n`)
      resolve(false)
    })
    npm.once('exit', code => resolve(code === 0))
  })
}
