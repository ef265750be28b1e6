//! Hands core's log lines to JavaScript, through the mailboxes. A line never waits: it is kept for each mailbox until
//! JavaScript looks, or is counted as dropped.

use std::fmt::Debug;
use std::sync::{Mutex, Once, PoisonError, Weak};

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::mailbox::Letters;

/// The lines that are kept for a mailbox.
const MOST_LINES: usize = 1_000;
/// The crates whose lines are handed over. The drivers' own lines are not part of the store.
const TARGET: &str = "streamkeep";

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
    FORWARDS.call_once(|| {
        // Nothing else in this library can have set one.
        let _ = tracing::subscriber::set_global_default(Forwarder);
    });
}

fn mailboxes<T>(change: impl FnOnce(&mut Vec<Weak<Letters>>) -> T) -> T {
    change(&mut MAILBOXES.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Forwarder;

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::DEBUG && metadata.target().starts_with(TARGET)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = LogLine {
            level: level(*metadata.level()),
            target: metadata.target(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        let mut alive = Vec::new();
        mailboxes(|mailboxes| {
            mailboxes.retain(|mailbox| mailbox.upgrade().map(|mailbox| alive.push(mailbox)).is_some());
        });
        for mailbox in alive {
            mailbox.put_line(line.clone());
        }
    }

    // Core has no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl LogLine {
    fn put(&mut self, field: &Field, value: Either<String, f64>) {
        match (field.name(), value) {
            ("message", Either::A(message)) => self.message = message,
            (name, value) => self.fields.push(LogField { name, value }),
        }
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Either::A(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Either::A(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Either::B(value as f64));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Either::B(value as f64));
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}
