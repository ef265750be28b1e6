//! Core's log lines, for Python's `logging`.
//!
//! A thread of the store only puts a line into a bounded queue and rings the bells of the event loops. The threads of
//! the host take the lines when they are attached to the interpreter anyway: while they wait in a call, and when their
//! loop goes on. So nobody waits for the interpreter to log, and no thread of the store uses Python.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bindings_common::log::Level;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use tracing::Dispatch;

use crate::bridge::Mailbox;
use crate::engine::locked;

/// The logger of lines about the log itself.
const OURS: &str = "streamkeep";
/// The most lines that wait. Nobody may call the store for long.
const MOST_LINES: usize = 1000;

/// The Python function that writes lines.
static WRITE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Logger, level, message, and seconds since 1970.
type Line = (String, u8, String, f64);

/// The lines that wait for a thread of the host.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Lines>,
    /// Whether a line waits, so that a call need not lock to learn that none does.
    waiting: AtomicBool,
    bells: Mutex<Vec<Weak<Mailbox>>>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<Line>,
    lost: usize,
}

/// Finds the Python function while the module is imported, as `error::prepare` does.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let write = PyModule::import(py, "streamkeep.logs")?.getattr("write")?;
    // A second import of the module finds it set, to the same.
    let _ = WRITE.set(py, write.unbind());
    Ok(())
}

impl Log {
    /// Makes a loop wake up for lines.
    pub(crate) fn ring_for(&self, mailbox: &Arc<Mailbox>) {
        let mut bells = locked(&self.bells);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(mailbox));
    }

    fn put(&self, line: Line) {
        {
            let mut lines = locked(&self.lines);
            if lines.kept.len() == MOST_LINES {
                lines.kept.pop_front();
                lines.lost += 1;
            }
            lines.kept.push_back(line);
        }
        self.waiting.store(true, Ordering::Release);
        let bells: Vec<_> = locked(&self.bells).iter().filter_map(Weak::upgrade).collect();
        bells.iter().for_each(|bell| bell.ring());
    }

    /// Writes the lines that wait. What writing raises is reported and stops nobody's call.
    pub(crate) fn hand_over(&self, py: Python<'_>) {
        if !self.waiting.swap(false, Ordering::Acquire) {
            return;
        }
        let Lines { kept, lost } = std::mem::take(&mut *locked(&self.lines));
        let mut lines = Vec::from(kept);
        if lost > 0 {
            let told = format!("{lost} earlier log lines were lost, because nobody called the store for long");
            lines.insert(0, (OURS.to_owned(), level_of(Level::Warn), told, lines.first().map_or(0.0, |line| line.3)));
        }
        if let Some(write) = WRITE.get(py)
            && let Err(error) = write.bind(py).call1((lines,))
        {
            error.write_unraisable(py, None);
        }
    }
}

/// What puts core's lines into a log.
pub(crate) fn writer(log: Arc<Log>) -> Dispatch {
    bindings_common::log::to(move |line| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
        log.put((line.target.replace("::", "."), level_of(line.level), line.text(), now));
    })
}

/// The level's number in `logging`.
const fn level_of(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
    }
}
