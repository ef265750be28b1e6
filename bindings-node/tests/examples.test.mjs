// Runs the examples as a user would: each in its own process.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'
import { microseconds, sliceOf } from '../examples/node/json_lines.mjs'
import { BACKENDS, hex, missing, place, shared } from './backends.mjs'

const run = promisify(execFile)
const examples = join(dirname(fileURLToPath(import.meta.url)), '../examples/node')
const options = { cwd: examples, timeout: 60_000 }

for (const backend of BACKENDS) {
  const skip = missing(backend)
  const fresh = () => {
    const { url, free } = place(backend)
    return { url: `${url}${url.includes('?') ? '&' : '?'}namespace=e_${hex()}`, free }
  }

  test(`${backend}: the first program and orders print what they should`, { skip }, async () => {
    writeFileSync(join(examples, 'orders.mjs'), ts.transpileModule(shared('examples/node/orders.mts'), { compilerOptions: { target: 'ES2022', module: 'ES2022' } }).outputText)
    for (const [program, expected] of [['first_program.mjs', 'first_program.txt'], ['first_program.cjs', 'first_program.txt'], ['orders.mjs', 'node/orders.txt']]) {
      const { url, free } = fresh()
      const { stdout } = await run(process.execPath, [program], { ...options, env: { ...process.env, STREAMKEEP_URL: url } })
      assert.equal(stdout, shared(`examples/${expected}`), program)
      free()
    }
  })

  test(`${backend}: the demo imports plain and gzip, and passes over what is there`, { skip }, async () => {
    const { url, free } = fresh()
    const folder = mkdtempSync(join(examples, 'demo-'))
    const plain = join(folder, 'parcels.jsonl')
    copyFileSync(join(examples, '../data/parcels.jsonl'), plain)
    writeFileSync(`${plain}.gz`, gzipSync(readFileSync(plain)))
    const expected = outcome(readFileSync(plain, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line)))
    const { stdout } = await run(process.execPath, ['demo.mjs', url, plain], options)
    assert.equal(stdout, expected(0))
    const again = await run(process.execPath, ['demo.mjs', url, `${plain}.gz`], options)
    // A memory store ends with its process.
    assert.equal(again.stdout, expected(backend === 'memory' ? 0 : Infinity))
    rmSync(folder, { recursive: true })
    free()
  })
}

/** What the demo prints for a file, depending on how many events it already has. */
function outcome(lines) {
  const streams = new Map()
  for (const line of lines) streams.set(line.stream, [...(streams.get(line.stream) ?? []), line.type])
  const length = Math.max(...[...streams.values()].map((types) => types.length))
  const [stream, types] = [...streams].filter(([, types]) => types.length === length).sort(([a], [b]) => (a < b ? -1 : 1))[0]
  const fold = [...new Set(types)].sort().map((type) => `${JSON.stringify(type)}:${types.filter((one) => one === type).length}`)
  const version = Math.max(Math.trunc((length * 9) / 10), 1)
  return (there) => {
    const over = Math.min(there, lines.length)
    return [
      `imported ${lines.length - over}, passed over ${over}, streams ${streams.size}`,
      `longest ${stream} with ${length} events, fold {${fold.join(',')}}`,
      `the same from a snapshot at version ${version} and ${length - version} events`,
      `followed ${lines.length} events in order\n`,
    ].join('\n')
  }
}

test('the exact text of a member is found, and a time to the microsecond', () => {
  const line = ' { "data" : {"a": "}\\"]{", "b" : [1.0, {"data":2}]} , "metadata":1e400,"s":"x\\\\","data2":[] } '
  assert.equal(sliceOf(line, 'data'), '{"a": "}\\"]{", "b" : [1.0, {"data":2}]}')
  assert.equal(sliceOf(line, 'metadata'), '1e400')
  assert.equal(sliceOf(line, 's'), '"x\\\\"')
  assert.equal(sliceOf(line, 'data2'), '[]')
  assert.equal(sliceOf(line, 'none'), undefined)
  assert.equal(sliceOf('{}', 'none'), undefined)
  assert.equal(microseconds('2026-03-02T08:02:50Z'), 1772438570000000)
  assert.equal(microseconds('2026-03-02T09:02:50.1234567+01:00'), 1772438570123456)
})
