//! SecantusDB, for machines without `mongod`: MongoDB's wire protocol over WiredTiger, with transactions, change
//! streams and unique indexes, from a Python wheel.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::StartError;
use super::account::run;
use super::programs::on_path;

/// The versions that the tests use.
const REQUIREMENTS: &str = include_str!("../../servers/secantusdb.txt");

/// The server's program, in its own environment below `STREAMKEEP_CACHE`. The environment is kept until the list of
/// requirements changes.
pub(super) fn program() -> Result<PathBuf, StartError> {
    let python = std::env::var_os("PYTHON").map_or_else(|| on_path("python3"), |python| Some(PathBuf::from(python)));
    let python = python
        .ok_or_else(|| StartError::NotHere("no mongod here, and no python3 to install SecantusDB with".to_owned()))?;
    installed(&python, &cache().join("secantusdb")).map_err(StartError::Failed)
}

fn cache() -> PathBuf {
    let chosen = std::env::var_os("STREAMKEEP_CACHE").map(PathBuf::from);
    chosen.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/streamkeep"))
}

fn installed(python: &Path, folder: &Path) -> Result<PathBuf, String> {
    let (program, kept) = (folder.join("environment/bin/secantusd-py"), folder.join("requirements.txt"));
    let plain = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(plain)?;
    // Two suites that start at the same time install it once.
    let lock = File::create(folder.join("lock")).map_err(plain)?;
    lock.lock().map_err(plain)?;
    if fs::read_to_string(&kept).is_ok_and(|kept| kept == REQUIREMENTS) && program.is_file() {
        return Ok(program);
    }
    println!("installing SecantusDB, the MongoDB server of the tests, in {}", folder.display());
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder.join("environment")))?;
    let wanted = folder.join("wanted.txt");
    fs::write(&wanted, REQUIREMENTS).map_err(plain)?;
    run(Command::new(folder.join("environment/bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r"])
        .arg(&wanted))?;
    fs::rename(wanted, kept).map_err(plain)?;
    Ok(program)
}
