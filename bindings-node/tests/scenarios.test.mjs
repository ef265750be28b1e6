import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { BACKENDS, missing, place, rootPath, shared } from './backends.mjs'
import { Run } from './scenario.mjs'

const files = readdirSync(rootPath('tests/scenarios')).filter((name) => name.endsWith('.json'))

for (const backend of BACKENDS) {
  const skip = missing(backend)
  for (const file of files) {
    const scenario = JSON.parse(shared(`tests/scenarios/${file}`))
    test(`${backend}: ${scenario.name}`, { skip }, async () => {
      const { url, free } = place(backend)
      try {
        await new Run(url).all(scenario)
      } finally {
        free()
      }
    })
  }
}
