// Tests exit and worker threads, in child processes with a deadline.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BACKENDS, missing, place } from './backends.mjs'

const program = fileURLToPath(new URL('lifecycle_child.mjs', import.meta.url))

/** Runs the child. Returns its exit code, its output, and the time from its output `ready` to its end. */
function child(what, url, deadlineMs = 60_000) {
  return new Promise((resolve, reject) => {
    const running = spawn(process.execPath, ['--no-warnings', program, what, url], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [output, errors, ready] = ['', '', 0]
    const timer = setTimeout(() => {
      running.kill('SIGKILL')
      reject(new Error(`${what}: still running after ${deadlineMs} ms\n${output}${errors}`))
    }, deadlineMs)
    running.stdout.on('data', (data) => {
      output += data
      if (ready === 0 && output.includes('ready')) ready = performance.now()
    })
    running.stderr.on('data', (data) => (errors += data))
    running.on('exit', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, output, errors, afterMs: performance.now() - ready })
    })
  })
}

for (const backend of BACKENDS) {
  const skip = missing(backend)

  test(`${backend}: an open store with an idle subscription does not keep the process alive`, { skip }, async () => {
    const { url, free } = place(backend)
    const ended = await child('idle', url)
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.errors)
    assert.ok(ended.afterMs < 1000, `it took ${ended.afterMs} ms`)
    free()
  })

  test(`${backend}: a next() that somebody awaits does`, { skip }, async () => {
    const { url, free } = place(backend)
    const ended = await child('awaited', url)
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.errors)
    assert.match(ended.output, /ready[^]*got Late/)
    free()
  })

  test(`${backend}: worker threads that are terminated at work crash nothing, 50 times`, { skip }, async () => {
    const { url, free } = place(backend)
    const ended = await child('workers', url, 110_000)
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.errors)
    assert.match(ended.output, /50 terminated/)
    free()
  })

  test(`${backend}: worker threads that are terminated while 1,000 calls wait crash nothing, 20 times`, { skip }, async () => {
    const { url, free } = place(backend)
    const ended = await child('thousands', url, 110_000)
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.errors)
    assert.match(ended.output, /20 terminated/)
    free()
  })

  test(`${backend}: a process that ends while 1,000 calls wait ends as it says, 10 times`, { skip }, async () => {
    const { url, free } = place(backend)
    for (let round = 0; round < 10; round += 1) {
      const ended = await child('exitOfThousand', url)
      assert.deepEqual([ended.code, ended.signal], [7, null], ended.errors)
    }
    free()
  })

  test(`${backend}: what was aborted does not keep the process alive`, { skip }, async () => {
    const { url, free } = place(backend)
    const ended = await child('aborted', url)
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.errors)
    assert.ok(ended.output.includes('ready true') && ended.afterMs < 1000, `${ended.output} ${ended.afterMs} ms`)
    free()
  })

  test(`${backend}: a process that ends in the middle of its work ends as it says, 20 times`, { skip }, async () => {
    const { url, free } = place(backend)
    for (let round = 0; round < 20; round += 1) {
      const ended = await child('exit', url)
      assert.deepEqual([ended.code, ended.signal], [7, null], ended.errors)
    }
    free()
  })
}
