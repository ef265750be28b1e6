//! Files that a process has open when it is forked.
//!
//! SQLite keeps the locks of a process in that process's memory. A forked child inherits the memory but not the locks:
//! on a file that its parent had open it would believe to hold locks that it has not, and acknowledged events would
//! vanish. So it is refused there. Any other file, and the same file in a process that was started afresh, works.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::identity::{FileId, file_id};
use crate::error::{Error, Result};

/// Which files this process, or the one it was forked from, has open: SQLite's own books are as global as this.
static OPEN: LazyLock<Mutex<Books>> = LazyLock::new(Mutex::default);

/// The files that are open.
pub(super) type Books = HashMap<FileId, Holder>;

#[derive(Debug)]
pub(super) struct Holder {
    process_id: u32,
    handles: usize,
}

/// A file that this process has open, for as long as this lives.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: Option<FileId>,
    process_id: u32,
}

impl OpenFile {
    /// Takes note of a file that exists.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let (file, process_id) = (file_id(path), std::process::id());
        if let Some(file) = file {
            let mut open = books();
            let holder = open.entry(file).or_insert(Holder { process_id, handles: 0 });
            if holder.process_id != process_id {
                return Err(Error::config(
                    "this SQLite file was open in the parent when the process was forked, and SQLite would lose events on it here: \
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
        let mut open = books();
        if let Some(holder) = open.get_mut(&file) {
            holder.handles -= 1;
            if holder.handles == 0 {
                open.remove(&file);
            }
        }
    }
}

pub(super) fn books() -> MutexGuard<'static, Books> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
