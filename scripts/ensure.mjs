// Makes `npm start` and `npm test` work on a fresh clone: installs what the lock file names, unless it is there already.
// Runs on the system's Node (>= 18) before anything is installed, so it has no dependency. Prints to stderr only.
import { existsSync, statSync } from 'node:fs'
import { spawnSync } from 'node:child_process'

const stamp = 'node_modules/.package-lock.json'
const fresh = existsSync(stamp) && statSync(stamp).mtimeMs >= statSync('package-lock.json').mtimeMs
if (!fresh) {
  const npm = (...args) =>
    spawnSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error', '--include=dev'], {
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    }).status
  console.error('first run: installing the packages of package-lock.json (about half a minute) ...')
  if (npm('ci') !== 0 && npm('install', '--no-save') !== 0) process.exit(1)
}
