//! Refuses a file in a forked child if its parent had the file open.
//!
//! SQLite keeps a process's file locks in the process's memory. A forked child inherits the memory but not the locks.
//! On a file that its parent had open, it would rely on locks that it does not hold, and acknowledged events would be
//! lost. The child may open any other file, and a newly started process may open any file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::identity::{FileId, file_id};
use crate::error::{Error, Result};

/// The files that this process, or the one it was forked from, has open. It is global, like SQLite's own list.
static OPEN: LazyLock<Mutex<OpenFiles>> = LazyLock::new(Mutex::default);

/// The open files, each with the process that opened it.
pub(super) type OpenFiles = HashMap<FileId, Holder>;

#[derive(Debug)]
pub(super) struct Holder {
    process_id: u32,
    handles: usize,
}

/// Keeps a file in the list of open files until it is dropped.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: Option<FileId>,
    process_id: u32,
}

impl OpenFile {
    /// Adds an existing file to the list.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let (file, process_id) = (file_id(path), std::process::id());
        if let Some(file) = file {
            let mut open = open_files();
            let holder = open.entry(file).or_insert(Holder { process_id, handles: 0 });
            if holder.process_id != process_id {
                return Err(Error::config(
                    "the parent process had this SQLite file open when it forked, and SQLite would lose events in the child: \
                     close the store before forking, or start a new process (spawn) instead",
                ));
            }
            holder.handles += 1;
        }
        Ok(Self { file, process_id })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Some(file) = self.file.filter(|_| self.process_id == std::process::id()) else { return };
        let mut open = open_files();
        if let Some(holder) = open.get_mut(&file) {
            holder.handles -= 1;
            if holder.handles == 0 {
                open.remove(&file);
            }
        }
    }
}

pub(super) fn open_files() -> MutexGuard<'static, OpenFiles> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
