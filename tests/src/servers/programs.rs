//! Where the programs of a server are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::run;

/// The programs that must exist.
const NEEDED: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// The folder of Postgres' programs: from `STREAMKEEP_POSTGRES_BIN`, the path, `pg_config`, or the newest one where
/// Debian installs them.
pub(super) fn postgres_folder() -> Result<PathBuf, String> {
    let chosen = std::env::var_os("STREAMKEEP_POSTGRES_BIN").map(PathBuf::from);
    if let Some(folder) = chosen {
        return if complete(&folder) {
            Ok(folder)
        } else {
            Err(format!("STREAMKEEP_POSTGRES_BIN: no {} there", NEEDED.join(", ")))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(run(Command::new("pg_config").arg("--bindir")).map(PathBuf::from));
    folders.extend(debian_folders());
    let found = folders.into_iter().find(|folder| complete(folder));
    found.map(real_folder).ok_or_else(|| {
        format!(
            "no Postgres server here: {} are neither on the PATH, nor where pg_config says, nor in /usr/lib/postgresql",
            NEEDED.join(", ")
        )
    })
}

fn complete(folder: &Path) -> bool {
    NEEDED.iter().all(|program| folder.join(program).is_file())
}

/// The folder of the server itself, which has the other programs too; a folder of links may lack them.
fn real_folder(folder: PathBuf) -> PathBuf {
    let real = folder.join("postgres").canonicalize().ok();
    real.as_deref().and_then(Path::parent).filter(|real| complete(real)).map_or(folder, Path::to_path_buf)
}

fn debian_folders() -> Vec<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// The full path of a program on the path.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
