//! Hands core's log lines to JavaScript, through the mailboxes. A line never waits: it is kept for each mailbox until
//! JavaScript looks, or is counted as dropped.

use std::sync::{Mutex, Once, PoisonError, Weak};

use bindings_common::log;
use napi::bindgen_prelude::Either;
use napi_derive::napi;

use crate::mailbox::Letters;

/// The lines that are kept for a mailbox.
const MOST_LINES: usize = 1_000;

static MAILBOXES: Mutex<Vec<Weak<Letters>>> = Mutex::new(Vec::new());
static FORWARDS: Once = Once::new();

/// A log line.
#[derive(Clone)]
#[napi(object, object_from_js = false)]
pub struct LogLine {
    pub level: &'static str,
    pub target: &'static str,
    pub message: String,
    pub fields: Vec<LogField>,
}

/// A value of a log line.
#[derive(Clone)]
#[napi(object, object_from_js = false)]
pub struct LogField {
    pub name: &'static str,
    pub value: Either<String, f64>,
}

/// The lines that wait for JavaScript.
#[derive(Default)]
pub(crate) struct Lines {
    waiting: Vec<LogLine>,
    dropped: u32,
}

impl Lines {
    pub(crate) fn put(&mut self, line: LogLine) {
        if self.waiting.len() < MOST_LINES {
            self.waiting.push(line);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(crate) fn are_there(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The lines, and one more about those that were dropped after them.
    pub(crate) fn take(&mut self) -> Vec<LogLine> {
        let Self { mut waiting, dropped } = std::mem::take(self);
        if dropped > 0 {
            let fields = vec![LogField { name: "dropped", value: Either::B(dropped.into()) }];
            let message = "log lines were dropped, because JavaScript did not take them in time".to_owned();
            waiting.push(LogLine { level: "warn", target: module_path!(), message, fields });
        }
        waiting
    }
}

/// Puts core's lines into this mailbox too, from now on.
pub(crate) fn forward_to(mailbox: Weak<Letters>) {
    mailboxes(|mailboxes| mailboxes.push(mailbox));
    FORWARDS.call_once(|| log::forward(tell));
}

fn mailboxes<T>(change: impl FnOnce(&mut Vec<Weak<Letters>>) -> T) -> T {
    change(&mut MAILBOXES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Gives a line to each mailbox. Its lock is not held while a mailbox takes the line.
fn tell(line: log::Line) {
    let line = LogLine::from(line);
    let mut alive = Vec::new();
    mailboxes(|mailboxes| {
        mailboxes.retain(|mailbox| mailbox.upgrade().map(|mailbox| alive.push(mailbox)).is_some());
    });
    for mailbox in alive {
        mailbox.put_line(line.clone());
    }
}

impl From<log::Line> for LogLine {
    fn from(line: log::Line) -> Self {
        let value = |value| match value {
            log::Value::Text(text) => Either::A(text),
            log::Value::Number(number) => Either::B(number as f64),
        };
        Self {
            level: level(line.level),
            target: line.target,
            message: line.message,
            fields: line.fields.into_iter().map(|(name, of)| LogField { name, value: value(of) }).collect(),
        }
    }
}

const fn level(level: log::Level) -> &'static str {
    match level {
        log::Level::Error => "error",
        log::Level::Warn => "warn",
        log::Level::Info => "info",
        log::Level::Debug => "debug",
    }
}
