// Run by Vitest, in its pools `vmThreads` and `vmForks`.
import { readFileSync } from 'node:fs'
import * as streamkeep from 'streamkeep'
import { expect, test } from 'vitest'
import body from './body.cjs'

body({
  test,
  expect,
  streamkeep,
  runFirstProgram: () => import('../../examples/node/first_program.mjs'),
  printed: readFileSync(new URL('../../examples/first_program.txt', import.meta.url), 'utf8'),
})
