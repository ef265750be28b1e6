//! Hands core's log lines to the JVM, where the application's logger writes them.

use std::fmt::{Debug, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::channel;

/// Begins to forward lines. This library has its own copy of `tracing`, so nobody else has set a subscriber.
pub(crate) fn forward() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = tracing::subscriber::set_global_default(Forward);
    });
}

/// Forwards core's events, and nothing of the libraries that core uses.
#[derive(Debug)]
struct Forward;

impl Subscriber for Forward {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("streamkeep") && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            _ => 3,
        };
        let mut line = Line::default();
        event.record(&mut line);
        channel::log(level, &line.text());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event, and its other fields.
#[derive(Default)]
struct Line {
    message: String,
    facts: String,
}

impl Line {
    fn text(self) -> String {
        if self.facts.is_empty() { self.message } else { format!("{} ({})", self.message, self.facts) }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a text does not fail.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let between = if self.facts.is_empty() { "" } else { ", " };
            let _ = write!(self.facts, "{between}{}: {value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_message_and_its_facts() {
        #[derive(Default)]
        struct Last(std::sync::Mutex<Vec<String>>);
        impl Subscriber for Last {
            fn enabled(&self, metadata: &Metadata<'_>) -> bool {
                Forward.enabled(metadata)
            }
            fn new_span(&self, _: &Attributes<'_>) -> Id {
                Id::from_u64(1)
            }
            fn record(&self, _: &Id, _: &Record<'_>) {}
            fn record_follows_from(&self, _: &Id, _: &Id) {}
            fn event(&self, event: &Event<'_>) {
                let mut line = Line::default();
                event.record(&mut line);
                if let Ok(mut lines) = self.0.lock() {
                    lines.push(line.text());
                }
            }
            fn enter(&self, _: &Id) {}
            fn exit(&self, _: &Id) {}
        }
        let last = std::sync::Arc::new(Last::default());
        tracing::subscriber::with_default(std::sync::Arc::clone(&last), || {
            let (error, version) = ("gone", 7);
            tracing::warn!(%error, version, "it was lost");
            tracing::info!(target: "streamkeep::tail", "it is there again");
            tracing::info!(target: "sqlx::query", "a statement");
            tracing::trace!("a detail");
        });
        let lines = last.0.lock().map(|lines| lines.clone()).unwrap_or_default();
        assert_eq!(lines, ["it was lost (error: gone, version: 7)", "it is there again"]);
    }
}
