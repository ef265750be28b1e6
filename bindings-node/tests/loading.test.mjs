// Finding the platform, without a look at what the process has open.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const rootPackage = (file) => require.resolve('streamkeep').replace(/dist.index\.js$/, file)
const here = dirname(fileURLToPath(import.meta.url))

/** Loads the package in a server with open sockets, and times how long the platform is looked for. */
const SERVER = `
const net = require('node:net')
const sockets = []
const server = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1', () => {
  for (let n = 0; n < 50; n += 1) sockets.push(net.connect(server.address().port, '127.0.0.1'))
  const look = setInterval(() => {
    if (sockets.length < 100) return
    clearInterval(look)
    process.report.getReport = () => { throw new Error('a report looks up the name of every peer') }
    require(process.argv[1])
    const { platform } = require(process.argv[2])
    const started = performance.now()
    platform()
    const tookMs = performance.now() - started
    console.log(JSON.stringify({ tookMs }))
    process.exit(0)
  }, 1)
})`

test('the platform is found at once, whatever is open', async () => {
  const { stdout } = await run(process.execPath, ['-e', SERVER, rootPackage('dist/index.js'), rootPackage('platform.cjs')], { cwd: here, timeout: 60_000 })
  assert.ok(JSON.parse(stdout).tookMs <= 50, stdout)
})

test('the C library is that of the program itself', { skip: process.platform !== 'linux' && 'other systems have one' }, () => {
  const { libraryOf, platform } = require(rootPackage('platform.cjs'))
  const report = process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
  assert.equal(libraryOf(process.execPath), report)
  assert.ok(platform().endsWith(report))
  const folder = mkdtempSync(join(tmpdir(), 'streamkeep-test-'))
  const other = join(folder, 'program')
  for (const [interpreter, library] of [['/lib/ld-musl-x86_64.so.1', 'musl'], ['/lib64/ld-linux-x86-64.so.2', 'gnu'], ['', 'gnu']]) {
    writeFileSync(other, elf(interpreter))
    assert.equal(libraryOf(other), library, interpreter)
  }
  writeFileSync(other, readFileSync(fileURLToPath(import.meta.url)))
  assert.equal(libraryOf(other), 'gnu')
  rmSync(folder, { recursive: true })
})

/** The beginning of a program for 64 bits, with two program headers, of which the second one names its interpreter. */
function elf(interpreter) {
  const head = Buffer.alloc(512)
  head.write('\x7fELF', 'latin1')
  head.set([2, 1], 4)
  head.writeBigUInt64LE(64n, 32)
  head.writeUInt16LE(56, 54)
  head.writeUInt16LE(interpreter === '' ? 1 : 2, 56)
  head.writeUInt32LE(6, 64)
  head.writeUInt32LE(3, 120)
  head.writeBigUInt64LE(300n, 128)
  head.writeBigUInt64LE(BigInt(interpreter.length + 1), 152)
  head.write(interpreter, 300, 'latin1')
  return head
}
