'use strict'
// The name of this platform, which the file of the native module has.

const builtin = require('./builtin.cjs')

const { Buffer } = builtin('node:buffer')
const { closeSync, openSync, readSync } = builtin('node:fs')

/** How much of a program is read: its interpreter is named near its beginning. */
const HEAD_BYTES = 4096
/** The kind of a program header that names the interpreter. */
const PT_INTERP = 3

/**
 * The C library that a program on Linux uses, `gnu` or `musl`, by the name of its interpreter. `process.report` tells it
 * too, but it first looks up the name of the peer of every open socket, for seconds.
 */
function libraryOf(program) {
  const head = Buffer.alloc(HEAD_BYTES)
  const file = openSync(program, 'r')
  try {
    readSync(file, head, 0, HEAD_BYTES, 0)
  } finally {
    closeSync(file)
  }
  return interpreterOf(head).includes('musl') ? 'musl' : 'gnu'
}

/** Reads the program headers of an ELF file. The answer is empty if none of them names an interpreter. */
function interpreterOf(head) {
  if (head.toString('latin1', 0, 4) !== '\x7fELF') return ''
  const [wide, little] = [head[4] === 2, head[5] === 1]
  const half = (at) => (little ? head.readUInt16LE(at) : head.readUInt16BE(at))
  const number = (at, bytes) => {
    if (bytes === 4) return little ? head.readUInt32LE(at) : head.readUInt32BE(at)
    return Number(little ? head.readBigUInt64LE(at) : head.readBigUInt64BE(at))
  }
  const [table, size, count] = wide ? [number(32, 8), half(54), half(56)] : [number(28, 4), half(42), half(44)]
  for (let at = table; at < table + size * count && at + size <= head.length; at += size) {
    if (number(at, 4) !== PT_INTERP) continue
    const [offset, length] = wide ? [number(at + 8, 8), number(at + 32, 8)] : [number(at + 4, 4), number(at + 16, 4)]
    return head.toString('latin1', offset, offset + length)
  }
  return ''
}

/** For example `linux-x64-gnu` or `darwin-arm64`. */
function platform() {
  const library = process.platform === 'linux' ? `-${libraryOf(process.execPath)}` : ''
  return `${process.platform}-${process.arch}${library}`
}

module.exports = { libraryOf, platform }
