//! The languages. To add one, add a module, a folder of templates, and a row here.

use anyhow::{Context, Result};

use crate::description::Surface;
use crate::files::File;
use crate::{jvm, node, python, rust};

type Language = (&'static str, fn(&Surface) -> Result<Vec<File>>);

const LANGUAGES: &[Language] =
    &[("rust", rust::files), ("python", python::files), ("node", node::files), ("jvm", jvm::files)];

/// The generated files of all languages.
///
/// # Errors
/// If a language cannot express something of the description.
pub fn files(surface: &Surface) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for (language, its_files) in LANGUAGES {
        files.extend(its_files(surface).with_context(|| format!("generating {language}"))?);
    }
    Ok(files)
}
