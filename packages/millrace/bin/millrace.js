#!/usr/bin/env node
// The command. It runs what the build has put into dist/, on a Node that is new enough, and says so
// in words when either is missing. Only syntax and names that old versions of Node know stand here:
// everything else is imported after the check.
import { existsSync, readFileSync } from 'node:fs'
import module from 'node:module'

const REQUIRED = [22, 22]
const EXIT_USAGE = 2

/** The built command; a file that is not there where nothing is installed or built. */
function command() {
  try {
    return new URL(import.meta.resolve('@millrace/cli'))
  } catch {
    return new URL('../dist/', import.meta.url)
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
  process.stderr.write(
    `error: millrace needs Node ${REQUIRED.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'Run "npm ci", which brings one, and then "npx millrace"; or install a newer Node.\n',
  )
  process.exitCode = EXIT_USAGE
} else if (!existsSync(command())) {
  process.stderr.write('error: millrace is not built yet.\nRun "npm run build" first.\n')
  process.exitCode = EXIT_USAGE
} else {
  module.enableCompileCache?.()
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const { main } = await import(command().href)
  await main(process.argv.slice(2), manifest.version)
}
