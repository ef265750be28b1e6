//! Core's log lines, for the log of the host's language.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Core and its modules log under this name. Others, such as the drivers, are not passed on.
const CORE: &str = "streamkeep";

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed for good.
    Error,
    /// Something failed and is tried again, or looks wrong.
    Warn,
    /// Something worth knowing, such as a database that can be reached again.
    Info,
    /// A detail.
    Debug,
}

/// One log line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// The module of core, with `::` between its parts.
    pub target: &'static str,
    /// What happened.
    pub message: String,
    /// The facts, by name.
    pub fields: Vec<(&'static str, Value)>,
}

/// A fact of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, or whatever is no number.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => fmt::Display::fmt(number, f),
        }
    }
}

impl Line {
    /// The line as one text: the message, and the other facts in brackets.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.message.clone();
        for (place, (name, value)) in self.fields.iter().enumerate() {
            // Writing to a text does not fail.
            let _ = write!(text, "{}{name}: {value}", if place == 0 { " (" } else { ", " });
        }
        if !self.fields.is_empty() {
            text.push(')');
        }
        text
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", value) => self.message = value.to_string(),
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Number));
    }
}

/// Hands each of core's lines to a function, from now on and in the whole process; see [`to`]. Only the first call counts.
///
/// A native module has its own copy of core and of `tracing`, so nobody else sets this default.
pub fn forward(take: impl Fn(Line) + Send + Sync + 'static) {
    let _ = tracing::dispatcher::set_global_default(to(take));
}

/// What hands each of core's lines, down to the level `Debug`, to a function. The function is called on the thread that
/// logs, so it must not wait for the host.
pub fn to(take: impl Fn(Line) + Send + Sync + 'static) -> Dispatch {
    Dispatch::new(To(take))
}

struct To<F>(F);

fn is_cores(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_event()
        && *metadata.level() <= tracing::Level::DEBUG
        && (target == CORE || target.strip_prefix(CORE).is_some_and(|rest| rest.starts_with("::")))
}

impl<F: Fn(Line) + Send + Sync + 'static> Subscriber for To<F> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_cores(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_cores(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let mut line = Line { level, target: metadata.target(), message: String::new(), fields: Vec::new() };
        event.record(&mut line);
        (self.0)(line);
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn cores_lines_are_handed_over_with_their_facts_and_no_others() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&lines);
        let dispatch = to(move |line| {
            if let Ok(mut lines) = taken.lock() {
                lines.push(line);
            }
        });
        tracing::dispatcher::with_default(&dispatch, || {
            let error = "gone";
            tracing::warn!(target: "streamkeep::tail", %error, version = 7_u64, "it was lost");
            tracing::info!(target: "streamkeep", "it is there again");
            tracing::debug!(target: "streamkeep::store", "a detail");
            tracing::trace!(target: "streamkeep::store", "a smaller detail");
            tracing::error!(target: "streamkeeper", "another crate");
            tracing::error!(target: "sqlx::query", "a driver");
        });
        let lines = lines.lock().map(|lines| lines.clone()).unwrap_or_default();
        let told: Vec<_> = lines.iter().map(|line| (line.level, line.target, line.text())).collect();
        let expected = [
            (Level::Warn, "streamkeep::tail", "it was lost (error: gone, version: 7)"),
            (Level::Info, "streamkeep", "it is there again"),
            (Level::Debug, "streamkeep::store", "a detail"),
        ];
        assert_eq!(told, expected.map(|(level, target, text)| (level, target, text.to_owned())));
        assert_eq!(lines[0].fields[1], ("version", Value::Number(7)));
    }
}
