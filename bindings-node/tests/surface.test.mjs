// Compares the declarations of the package with generate/surface.json, by the TypeScript compiler.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import ts from 'typescript'
import { shared } from './backends.mjs'

const surface = JSON.parse(shared('generate/surface.json'))
const require = createRequire(import.meta.url)
const file = require.resolve('streamkeep').replace(/\.js$/, '.d.ts')
const program = ts.createProgram([file], { strict: true, target: ts.ScriptTarget.ES2022, lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'], types: [], moduleResolution: ts.ModuleResolutionKind.Node16, module: ts.ModuleKind.Node16 })
const checker = program.getTypeChecker()
const exported = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file))).map((symbol) => [symbol.name, symbol]))

const camel = (name) => name.replace(/_[a-z]/g, (found) => found.slice(1).toUpperCase())
const own = (entry) => entry.only === undefined || entry.only.includes('node')
/** Durations are numbers in TypeScript, with the unit in their name. */
const UNITS = { timeout: 'timeoutMs', poll_interval: 'pollIntervalMs' }
/** The fields that TypeScript has besides the shared ones. */
const BESIDE = { recordedEvent: ['recordedAtMicros', 'text', 'bytes', 'metadataText'], snapshot: ['text', 'bytes', 'contentType'], importEvent: ['recordedAtMicros'] }
const TYPES = { event: 'Event', recorded_event: 'RecordedEvent', import_event: 'ImportEvent', append_result: 'AppendResult', import_result: 'ImportResult', page: 'Page', query_item: 'QueryItem', snapshot: 'Snapshot' }

function symbolOf(name) {
  const symbol = exported.get(name) ?? assert.fail(`${name} is not exported`)
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
}

/** Not a symbol (`Symbol.asyncDispose`), and not private. */
const isPublic = (name) => !name.startsWith('__') && !name.startsWith('#')

function fields(type) {
  return checker.getPropertiesOfType(checker.getNonNullableType(type)).map((property) => property.name).filter(isPublic).sort()
}

function methods(name) {
  const symbol = symbolOf(name)
  const instance = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))
  const fixed = checker.getPropertiesOfType(checker.getTypeOfSymbol(symbol)).filter((property) => property.name !== 'prototype')
  return new Map([...instance, ...fixed].filter((property) => isPublic(property.name)).map((property) => [property.name, property]))
}

test('the store has the methods of the surface, with their arguments and options, and no other', () => {
  const found = methods('EventStore')
  const expected = Object.entries(surface.store).filter(([, entry]) => own(entry))
  assert.deepEqual([...found.keys()].sort(), expected.map(([name]) => camel(name)).sort())
  for (const [name, entry] of expected) {
    const symbol = found.get(camel(name))
    const [signature] = checker.getSignaturesOfType(checker.getTypeOfSymbol(symbol), ts.SignatureKind.Call)
    const parameters = signature.getParameters()
    const options = entry.options.filter(own)
    const names = [...entry.arguments.filter(own).map((argument) => camel(argument.name)), ...(options.length > 0 ? ['options'] : [])]
    assert.deepEqual(parameters.map((parameter) => parameter.name), names, name)
    if (options.length === 0) continue
    const type = checker.getTypeOfSymbol(parameters.at(-1))
    assert.deepEqual(fields(type), options.map((option) => UNITS[option.name] ?? camel(option.name)).sort(), `options of ${name}`)
  }
})

test('the types have the fields of the surface', () => {
  for (const [name, { fields: list }] of Object.entries(surface.types)) {
    const type = checker.getDeclaredTypeOfSymbol(symbolOf(TYPES[name] ?? assert.fail(`unknown type ${name}`)))
    assert.deepEqual(fields(checker.getApparentType(type)), [...list.map((field) => camel(field.name)), ...(BESIDE[camel(name)] ?? [])].sort(), name)
  }
})

test('the errors have the attributes of the surface', () => {
  const base = fields(checker.getDeclaredTypeOfSymbol(symbolOf('StreamkeepError')))
  assert.deepEqual(base.filter((name) => !['name', 'stack'].includes(name)), surface.error.attributes.map(camel).sort())
  for (const [code, list] of Object.entries(surface.error.codes)) {
    const name = `${code.replace(/(^|-)[a-z]/g, (found) => found.at(-1).toUpperCase())}Error`
    const all = fields(checker.getDeclaredTypeOfSymbol(symbolOf(name)))
    assert.deepEqual(all.filter((field) => !base.includes(field)), list.map(camel).sort(), name)
  }
})

test('the words of the surface are the words of the types', () => {
  const said = (of) => surface.values[of].words.map((word) => word.name).sort()
  const words = (type) => (type.isUnion() ? type.types : [type]).filter((one) => one.isStringLiteral()).map((one) => one.value).sort()
  const option = (options, name) => checker.getTypeOfSymbol(checker.getPropertyOfType(checker.getDeclaredTypeOfSymbol(symbolOf(options)), name))
  assert.deepEqual(words(option('AppendOptions', 'expected')), said('expected'))
  assert.deepEqual(words(option('ReadOptions', 'direction')), said('direction'))
  assert.deepEqual(words(option('SubscribeOptions', 'start')), said('start'))
  assert.deepEqual(words(option('OpenOptions', 'durability')), said('durability'))
  assert.deepEqual(words(checker.getDeclaredTypeOfSymbol(symbolOf('ErrorCode'))), Object.keys(surface.error.codes).sort())
})
