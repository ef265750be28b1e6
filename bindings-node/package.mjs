// Makes what the package has besides its sources: `dist`, the native module of this platform, and the licences. npm runs
// it before it packs the package, and when it installs it from this folder.
//
// STREAMKEEP_ROOT     the repository, if this is a copy of the folder elsewhere
// CARGO_TARGET_DIR    where cargo builds
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const root = process.env.STREAMKEEP_ROOT ?? join(here, '..')
const manifest = ['--manifest-path', join(root, 'Cargo.toml')]
const run = (program, args) => execFileSync(program, args, { cwd: here, stdio: ['ignore', 'inherit', 'inherit'] })

/** Installed from another project, this folder has no compiler yet. */
function typescript() {
  try {
    return require.resolve('typescript/bin/tsc')
  } catch {
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'])
    return require.resolve('typescript/bin/tsc')
  }
}

function library() {
  switch (process.platform) {
    case 'win32':
      return 'streamkeep_node.dll'
    case 'darwin':
      return 'libstreamkeep_node.dylib'
    default:
      return 'libstreamkeep_node.so'
  }
}

rmSync(join(here, 'dist'), { recursive: true, force: true })
run(process.execPath, [typescript(), '-p', 'tsconfig.json'])

run('cargo', ['build', '--quiet', '--release', '--locked', ...manifest, '-p', 'streamkeep-node', '--lib'])
const { target_directory: target } = JSON.parse(execFileSync('cargo', ['metadata', '--format-version', '1', '--no-deps', ...manifest], { cwd: here, encoding: 'utf8', maxBuffer: 2 ** 26 }))
mkdirSync(join(here, 'native'), { recursive: true })
const native = join(here, 'native', `streamkeep.${require('./platform.cjs').platform()}.node`)
// A module that another process has loaded keeps its old file.
rmSync(native, { force: true })
copyFileSync(join(target, 'release', library()), native)
// Without line tables the package has a quarter of the size.
if (process.platform === 'linux') run('strip', ['--strip-debug', native])

for (const licence of ['LICENSE', 'LICENSE-APACHE', 'LICENSE-MIT']) {
  const source = join(root, licence)
  if (existsSync(source)) copyFileSync(source, join(here, licence))
}
