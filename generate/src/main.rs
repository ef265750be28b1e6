//! `generate` writes the generated files. `generate --check` writes nothing, and fails if a file differs.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use generate::description::Surface;
use generate::{files, languages, version};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = languages::files(&Surface::of_the_project()?)?;
    files.extend(version::files(&root)?);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            for path in files::write(&root, &files)? {
                writeln!(out, "wrote {path}")?;
            }
            Ok(())
        }
        ["--check"] => files::check(&root, &files),
        other => bail!("unknown arguments {other:?}: use none, or --check"),
    }
}
