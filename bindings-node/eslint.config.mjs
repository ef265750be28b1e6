import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  js.configs.recommended,
  { files: ['typescript/**/*.ts', 'typescript/**/*.mts'], extends: [tseslint.configs.strictTypeChecked], languageOptions: { parserOptions: { projectService: true } } },
  {
    files: ['tests/**/*.mjs'],
    languageOptions: { globals: { AbortController: 'readonly', AbortSignal: 'readonly', Buffer: 'readonly', URL: 'readonly', clearTimeout: 'readonly', console: 'readonly', performance: 'readonly', process: 'readonly', queueMicrotask: 'readonly', setImmediate: 'readonly', setTimeout: 'readonly' } },
  },
  { ignores: ['tests/types/**'] },
)
