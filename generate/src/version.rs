//! The version of all packages: that of the workspace. Other files that have to repeat it follow from there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::files::File;

/// The workspace's version, which stands in `Cargo.toml`.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files that repeat the version, and what stands in front of it there.
const PLACES: &[(&str, &[&str])] = &[
    ("README.md", &["\nVersion ", "packages/streamkeep-", "dev.streamkeep:streamkeep:"]),
    ("bindings-node/README.md", &["packages/streamkeep-"]),
    ("bindings-node/package.json", &["\n  \"version\": \""]),
    ("bindings-node/package-lock.json", &["\n  \"version\": \"", "\"name\": \"streamkeep\",\n      \"version\": \""]),
    ("bindings-kotlin/pom.xml", &["\n  <version>"]),
    ("bindings-kotlin/kotlin/src/main/kotlin/dev/streamkeep/Channel.kt", &["const val VERSION = \""]),
    ("examples/java/pom.xml", &["\n  <version>", "<artifactId>streamkeep</artifactId>\n      <version>"]),
    ("examples/kotlin/pom.xml", &["\n  <version>", "<artifactId>streamkeep</artifactId>\n      <version>"]),
    ("tests/bench/faces/jvm/pom.xml", &["\n  <version>", "<artifactId>streamkeep</artifactId>\n      <version>"]),
];

/// The files that repeat the version, with the workspace's version in them.
///
/// # Errors
/// If a file cannot be read, or has no version where one is expected.
pub fn files(root: &Path) -> Result<Vec<File>> {
    let with_version = |(path, places): &(&'static str, &[&str])| {
        let text = fs::read_to_string(root.join(path)).with_context(|| *path)?;
        let text = places.iter().try_fold(text, |text, before| replaced(&text, before, VERSION));
        Ok(File { path, text: text.with_context(|| *path)? })
    };
    PLACES.iter().map(with_version).collect()
}

/// The text with this version wherever a version comes after `before`.
fn replaced(text: &str, before: &str, version: &str) -> Result<String> {
    let mut parts = text.split(before);
    let mut new = parts.next().unwrap_or_default().to_owned();
    let mut versions = 0;
    for part in parts {
        new.push_str(before);
        let numbers = part.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(part.len());
        let old = part[..numbers].trim_end_matches('.');
        let is_version = old.split('.').count() == 3;
        versions += usize::from(is_version);
        new.push_str(if is_version { version } else { old });
        new.push_str(&part[old.len()..]);
    }
    ensure!(versions > 0, "there is no version after {before:?}");
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_replaced_and_nothing_else() -> Result<()> {
        let text = "`pip install streamkeep-0.1.0-*.whl`, `npm install streamkeep-0.1.0.tgz`, install streamkeep-core";
        let expected =
            "`pip install streamkeep-1.20.3-*.whl`, `npm install streamkeep-1.20.3.tgz`, install streamkeep-core";
        assert_eq!(replaced(text, "install streamkeep-", "1.20.3")?, expected);
        assert_eq!(replaced("<version>0.1.0</version>", "<version>", "0.2.0")?, "<version>0.2.0</version>");
        Ok(())
    }

    #[test]
    fn a_place_without_a_version_is_an_error() {
        for text in ["", "\"version\": \"", "\"version\": \"latest\"", "\"version\": \"1.0\""] {
            assert!(replaced(text, "\"version\": \"", "1.0.0").is_err(), "{text}");
        }
    }
}
