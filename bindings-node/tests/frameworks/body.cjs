// What has to hold in a test framework, whose realm is another one than the native module's. The framework gives its own
// `test` and `expect`, and the package and the first program as its own modules.

/** How long a program may take. */
const DEADLINE_MS = 30_000

module.exports = function body({ test, expect, streamkeep, runFirstProgram, printed }) {
  const { ClosedError, ConfigError, ConflictError, event, EventStore, InvalidArgumentError, JsonText, RecordedEvent, StreamkeepError } = streamkeep
  const thrown = (promise) => promise.then(() => expect('it did not fail').toBe(''), (error) => error)

  test('the first program prints what it should', async () => {
    const lines = []
    const { log } = console
    console.log = (line) => lines.push(line)
    try {
      await runFirstProgram()
      const deadline = Date.now() + DEADLINE_MS
      while (lines.at(-1) !== 'closed' && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 1))
    } finally {
      console.log = log
    }
    expect(`${lines.join('\n')}\n`).toBe(printed)
  }, DEADLINE_MS)

  test('errors are typed', async () => {
    const store = await EventStore.open('memory:')
    const sent = event('E', { a: 1 })
    expect(await store.append('order-42', [sent], { expected: 0 })).toStrictEqual({ version: 1, position: 1, repeated: false })
    const conflict = await thrown(store.append('order-42', [{ type: 'E' }], { expected: 'no-stream' }))
    expect(conflict).toBeInstanceOf(ConflictError)
    expect(conflict).toBeInstanceOf(StreamkeepError)
    expect(conflict).toBeInstanceOf(Error)
    expect(conflict).not.toBeInstanceOf(ConfigError)
    expect(conflict).toMatchObject({ name: 'ConflictError', code: 'conflict', stream: 'order-42', expected: 'no-stream', actual: 1, outcome: 'not applied' })
    await expect(EventStore.open('nothing:')).rejects.toBeInstanceOf(ConfigError)
    await expect(store.append('s', [{ type: 'E', data: { at: NaN } }])).rejects.toBeInstanceOf(InvalidArgumentError)
    await expect(store.append('s', [{ type: 'E', data: { lines: new Map([[1, 2]]) } }])).rejects.toThrow('data.lines is a Map')
    await expect(store.readPage({ limit: 0 })).rejects.toMatchObject({ code: 'invalid-argument', argument: 'limit' })
    await store.close()
    await expect(store.head()).rejects.toBeInstanceOf(ClosedError)
  })

  test('values of this realm are taken, and those that come back are of this realm', async () => {
    const store = await EventStore.open('memory:')
    const [bytes, at] = [new Uint8Array([1, 2, 3]), new Date('2026-03-02T08:02:50.123Z')]
    await store.append('s', [{ type: 'Bytes', data: bytes }, { type: 'Buffer', data: Buffer.from([4]) }, { type: 'At', data: { at, list: [1, null] } }, event.json('Text', '{"rate": 1.0}')])
    await store.importEvents([{ stream: 'old', recordedAt: at, event: event('Old', new JsonText('[]')) }])
    const page = await store.readPage()
    const [first, second, third, fourth, old] = page.events
    expect(first).toBeInstanceOf(RecordedEvent)
    expect(first.data).toStrictEqual(bytes)
    expect(first.bytes).toBeInstanceOf(Uint8Array)
    expect(second.data).toStrictEqual(new Uint8Array([4]))
    expect(third.data).toStrictEqual({ at: at.toISOString(), list: [1, null] })
    expect(third.bytes).toBeInstanceOf(Uint8Array)
    expect(fourth.text).toBe('{"rate": 1.0}')
    expect(old.recordedAt).toStrictEqual(at)
    expect(page).toStrictEqual({ events: page.events, reached: 5, caughtUp: true })
    await store.saveSnapshot({ stream: 's', version: 1, schema: 'b', data: bytes })
    expect((await store.loadSnapshot('s', 'b')).data).toStrictEqual(bytes)
    await store.close()
  })

  test('a signal of this realm ends an iteration quietly, and a call with its reason', async () => {
    const store = await EventStore.open('memory:')
    await store.append('s', [{ type: 'E' }])
    const stop = new AbortController()
    const seen = []
    for await (const e of store.subscribe({ signal: stop.signal, onCaughtUp: () => stop.abort() })) seen.push(e.type)
    expect(seen).toStrictEqual(['E'])
    const reason = new Error('gone')
    const gone = new AbortController()
    gone.abort(reason)
    expect(await thrown(store.append('s', [{ type: 'E' }], { signal: gone.signal }))).toBe(reason)
    await store.close()
  })
}
