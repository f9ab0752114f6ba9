#!/usr/bin/env node
// Plain old JavaScript that any Node parses, so that one that is too old gets a sentence and not a stack trace.
import module from 'module'

var required = [22, 22]
var version = process.versions.node.split('.').map(Number)

if (version[0] < required[0] || (version[0] === required[0] && version[1] < required[1])) {
  process.stderr.write(
    'error FTS-5009: flink-ts needs Node ' + required.join('.') + ' or later; this is ' + process.version + ' (' + process.execPath + ')\n'
  )
  process.exitCode = 5
} else {
  module.enableCompileCache()
  // What stands after `--` belongs to the job. `run` is a file of its own; its page of help is not in it.
  var argv = process.argv.slice(2)
  var own = argv.indexOf('--') === -1 ? argv : argv.slice(0, argv.indexOf('--'))
  var run = own[0] === 'run' && own.indexOf('--help') === -1 && own.indexOf('-h') === -1
  var named = process.env.FLINK_TS_PROJECT || own.some(function (word) { return word.indexOf('--project') === 0 })
  // The JobManager starts while the command line is still read. If that is refused, it ends with this process.
  var ahead = run && !named ? import('../dist/runtime/deploy/spawn-process.js').then(function (early) { early.spawnJobManagerAhead(process.cwd()) }) : Promise.resolve()
  ahead.then(function () { return import(run ? '../dist/cli/run-main.js' : '../dist/cli/main.js') }).then(
    function (cli) {
      return cli.main(argv)
    },
    function (error) {
      if (error && error.code === 'ERR_MODULE_NOT_FOUND' && /dist.(cli.(run-)?main|runtime.deploy.spawn-process)\.js/.test(error.message)) {
        process.stderr.write('error: flink-ts is not built yet\n  In a clone of the repository run: npm run build\n')
        process.exitCode = 5
      } else throw error
    }
  )
}
