// Core's log lines reach JavaScript. The probe writes lines of its own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { event, EventStore, InvalidArgumentError, setLogger } from 'streamkeep'
import { hex, missing, place, until } from './backends.mjs'

const probe = createRequire(import.meta.url)(process.env.STREAMKEEP_PANIC_PROBE)

test('lines of the library come in their order, those of drivers and details do not', async () => {
  const [mailbox, lines] = [new probe.NativeMailbox(), []]
  mailbox.listen((_, some) => lines.push(...some))
  probe.log(1, 3)
  await until('the lines are there', () => lines.length >= 3)
  mailbox.listen(undefined)
  const line = (number) => ({ level: 'warn', target: 'streamkeep::probe', message: 'a line', fields: [{ name: 'number', value: number }, { name: 'half', value: 'a half' }] })
  assert.deepEqual(lines, [1, 2, 3].map(line))
})

test('lines wait for a listener, and those beyond a thousand are counted', async () => {
  const [mailbox, lines] = [new probe.NativeMailbox(), []]
  probe.log(0, 1234)
  // The answers do not wait for anybody who takes lines.
  await new Promise((resolve) => {
    mailbox.hold((answers, some) => {
      lines.push(...some)
      if (answers.length > 0) resolve()
    })
    probe.echo(mailbox, 1)
  })
  await until('the lines are there', () => lines.length > 0)
  assert.deepEqual(lines.slice(0, 1000).map(({ fields }) => fields[0].value), Array.from({ length: 1000 }, (_, i) => i))
  const [told, ...more] = lines.slice(1000)
  assert.deepEqual([told.level, told.fields, more], ['warn', [{ name: 'dropped', value: 234 }], []])
  probe.log(7, 1)
  await until('another line is there', () => lines.length === 1002)
  mailbox.release()
  assert.equal(lines[1001].fields[0].value, 7)
})

/** Runs a program that opens a store twice with a password file that others can read, which core warns about each time. */
function warned(program) {
  const folder = mkdtempSync(join(tmpdir(), 'streamkeep-test-'))
  const file = join(folder, 'pgpass')
  writeFileSync(file, 'no:line:for:this:server')
  chmodSync(file, 0o644)
  const opening = "await EventStore.open('postgres://amy@127.0.0.1:1/none?timeout_ms=300').catch(() => undefined)"
  const code = `import { subscribe } from 'node:diagnostics_channel'; import { EventStore, setLogger } from 'streamkeep'; ${program.replaceAll('OPEN', opening)}`
  try {
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', code], { env: { ...process.env, PGPASSFILE: file }, encoding: 'utf8', timeout: 60_000 })
    assert.equal(ended.status, 0, ended.stderr)
    return JSON.parse(ended.stdout)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('the logger and the channel get the same lines, until nobody listens', () => {
  const [logged, published] = warned(`
    const [logged, published] = [[], []]
    subscribe('streamkeep:log', (line) => published.push(line))
    setLogger((line) => logged.push(line))
    OPEN; OPEN
    setLogger(undefined)
    const [before] = [logged.length]
    OPEN
    console.log(JSON.stringify([logged, published.slice(0, before), published.length]))`)
  assert.ok(logged.length >= 2)
  assert.deepEqual(logged, published)
  const [{ level, target, message, fields }] = logged
  assert.deepEqual([level, target.split('::')[0], fields], ['warn', 'streamkeep', {}])
  assert.match(message, /password file is ignored/)
})

test('a logger that throws loses no line, and its errors are unhandled rejections', () => {
  const [lines, errors] = warned(`
    const [lines, errors] = [[], []]
    process.on('unhandledRejection', (error) => errors.push(error.message))
    setLogger((line) => { lines.push(line.message); throw new Error('out of ink') })
    OPEN; OPEN
    await new Promise((resolve) => setImmediate(resolve))
    console.log(JSON.stringify([lines, errors]))`)
  assert.ok(lines.length >= 2 && lines.every((message) => message.includes('password file is ignored')), String(lines))
  assert.deepEqual(errors, lines.map(() => 'out of ink'))
})

test('a logger is a function', () => {
  assert.throws(() => setLogger('console'), (error) => error instanceof InvalidArgumentError && error.argument === 'logger' && error.operation === 'setLogger')
})

test('postgres: a subscription that loses its database tells it, and tells when it has it again', { skip: missing('postgres'), timeout: 120_000 }, async () => {
  const { url } = place('postgres')
  const server = new URL(url)
  const behind = { host: server.hostname, port: Number(server.port || 5432) }
  const [sockets, lines] = [new Set(), []]
  let reachable = true
  const proxy = createServer((client) => {
    if (!reachable) return void client.destroy()
    const upstream = createConnection(behind)
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      sockets.add(from)
      from.on('error', () => undefined).on('close', () => to.destroy()).pipe(to)
    }
  })
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  server.hostname = '127.0.0.1'
  server.port = String(proxy.address().port)
  setLogger((line) => lines.push(line))
  const store = await EventStore.open(server.href, { namespace: `t_${hex()}` })
  try {
    const events = store.subscribe()
    await store.append('s', [event('E')])
    assert.equal((await events.next()).value.type, 'E')
    const next = events.next()
    reachable = false
    for (const socket of sockets) socket.destroy()
    const has = (level, words) => () => lines.some((line) => line.level === level && line.message.includes(words))
    await until('the loss is told', has('warn', 'cannot read the database'), 60_000)
    reachable = true
    await until('the return is told', has('info', 'can read the database again'), 60_000)
    await store.append('s', [event('After')])
    assert.equal((await next).value.type, 'After')
  } finally {
    setLogger(undefined)
    await store.close()
    proxy.close()
    for (const socket of sockets) socket.destroy()
  }
})
