// Run by Jest, in its `node` and its `jsdom` environment.
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const body = require('./body.cjs')

body({
  test,
  expect,
  streamkeep: require('streamkeep'),
  runFirstProgram: () => require('../../examples/node/first_program.cjs'),
  printed: readFileSync(join(__dirname, '../../examples/first_program.txt'), 'utf8'),
})
