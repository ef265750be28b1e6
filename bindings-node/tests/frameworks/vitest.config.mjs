import { defineConfig } from 'vitest/config'

export default defineConfig({ test: { include: ['tests/frameworks/vitest.mjs'], watch: false, testTimeout: 30_000 } })
