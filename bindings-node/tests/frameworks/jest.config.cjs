// The files are plain CommonJS, so Jest need not transform them.
const common = { rootDir: __dirname, testMatch: ['<rootDir>/jest.cjs'], transform: {} }

module.exports = {
  watchman: false,
  projects: [
    { ...common, displayName: 'jest node', testEnvironment: 'node' },
    { ...common, displayName: 'jest jsdom', testEnvironment: 'jsdom' },
  ],
}
