'use strict'
// A module of Node itself. Loaders that run this package in a context of `node:vm` may know files alone, so `require`
// comes second.

module.exports = (name) => (typeof process.getBuiltinModule === 'function' ? process.getBuiltinModule(name) : require(name))
