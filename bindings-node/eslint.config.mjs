import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  js.configs.recommended,
  { files: ['typescript/**/*.ts', 'typescript/**/*.mts'], extends: [tseslint.configs.strictTypeChecked], languageOptions: { parserOptions: { projectService: true } }, rules: { '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }] } },
  {
    files: ['tests/**/*.mjs', 'package.mjs'],
    languageOptions: { globals: { AbortController: 'readonly', AbortSignal: 'readonly', Buffer: 'readonly', URL: 'readonly', clearTimeout: 'readonly', console: 'readonly', performance: 'readonly', process: 'readonly', queueMicrotask: 'readonly', setImmediate: 'readonly', setTimeout: 'readonly', structuredClone: 'readonly', URLSearchParams: 'readonly' } },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { globals: { __dirname: 'readonly', AbortController: 'readonly', Buffer: 'readonly', console: 'readonly', expect: 'readonly', module: 'writable', process: 'readonly', require: 'readonly', setTimeout: 'readonly', test: 'readonly' } },
  },
  { ignores: ['tests/types/**'] },
)
