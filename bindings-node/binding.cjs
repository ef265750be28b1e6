'use strict'
// Finds and loads the native module for this platform.

const target = require('./platform.cjs').platform()

function load() {
  try {
    return require(`./native/streamkeep.${target}.node`)
  } catch (cause) {
    const missing = cause.code === 'MODULE_NOT_FOUND'
    const why = missing ? `this package has no native module for ${target}` : `the native module for ${target} could not be loaded`
    throw new Error(`streamkeep: ${why}. Bundlers must leave the package external; a copied node_modules must come from the same platform.`, { cause })
  }
}

const native = load()
const { version } = require('./package.json')
if (native.version() !== version) throw new Error(`streamkeep: the native module has version ${native.version()} and the package ${version}: install the package again`)

module.exports = native
