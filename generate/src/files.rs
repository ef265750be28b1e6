//! Writes the generated files, or finds those that differ from what is checked in.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the repository.
    pub path: &'static str,
    /// Its text, with the line that says that it is generated.
    pub text: String,
}

impl File {
    /// Puts the line in front that says that the file is generated, and formats Rust.
    ///
    /// # Errors
    /// If the file is of a kind whose comments are unknown, or rustfmt refuses the text.
    pub fn new(path: &'static str, text: &str) -> Result<Self> {
        let comment = match path.rsplit_once('.') {
            Some((_, "rs" | "ts" | "mts" | "mjs" | "kt" | "java")) => "//",
            Some((_, "py" | "pyi")) => "#",
            _ => bail!("{path}: how are comments written in it?"),
        };
        let text =
            format!("{comment} Generated from generate/surface.json by `make generate`. Do not edit it.\n\n{text}");
        let text = if path.ends_with(".rs") { rustfmt(&text).with_context(|| path)? } else { text };
        Ok(Self { path, text })
    }
}

fn rustfmt(text: &str) -> Result<String> {
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut formatting = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path", settings])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("rustfmt does not run")?;
    let mut input = formatting.stdin.take().ok_or_else(|| anyhow!("rustfmt has no input"))?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let done = formatting.wait_with_output()?;
    ensure!(done.status.success(), "rustfmt refuses it: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// Writes the files that differ, and gives their paths.
///
/// # Errors
/// If a file cannot be written.
pub fn write(root: &Path, files: &[File]) -> Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for file in files.iter().filter(|file| !is_current(root, file)) {
        let path = root.join(file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &file.text).with_context(|| file.path)?;
        written.push(file.path);
    }
    Ok(written)
}

/// Compares the files with what is there.
///
/// # Errors
/// Names the files that differ.
pub fn check(root: &Path, files: &[File]) -> Result<()> {
    let stale: Vec<&str> = files.iter().filter(|file| !is_current(root, file)).map(|file| file.path).collect();
    ensure!(stale.is_empty(), "these files are not what they follow from, run `make generate`: {}", stale.join(", "));
    Ok(())
}

fn is_current(root: &Path, file: &File) -> bool {
    fs::read_to_string(root.join(file.path)).is_ok_and(|text| text == file.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Surface;
    use crate::{languages, version};

    #[test]
    fn what_is_checked_in_is_what_the_description_says() -> Result<()> {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &languages::files(&Surface::of_the_project()?)?)
    }

    #[test]
    fn every_file_that_repeats_the_version_has_the_workspaces() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        check(&root, &version::files(&root)?)
    }

    #[test]
    fn a_file_that_was_edited_by_hand_is_found_and_written_again() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let files = [File::new("one.py", "x = 1\n")?, File::new("two/two.py", "y = 2\n")?];
        assert_eq!(write(folder.path(), &files)?, ["one.py", "two/two.py"]);
        check(folder.path(), &files)?;
        fs::write(folder.path().join("one.py"), "x = 2\n")?;
        let wrong = check(folder.path(), &files).map_err(|error| error.to_string());
        assert!(wrong.is_err_and(|error| error.ends_with("run `make generate`: one.py")));
        assert_eq!(write(folder.path(), &files)?, ["one.py"]);
        check(folder.path(), &files)
    }

    #[test]
    fn a_file_says_that_it_is_generated() -> Result<()> {
        assert!(File::new("one.py", "x = 1\n")?.text.starts_with("# Generated from generate/surface.json"));
        let rust = File::new("one.rs", "fn  one( ) {}\n")?.text;
        assert!(rust.starts_with("// Generated from") && rust.ends_with("\n\nfn one() {}\n"), "{rust}");
        assert!(File::new("one.rs", "fn {").is_err());
        assert!(File::new("one.txt", "").is_err());
        Ok(())
    }
}
