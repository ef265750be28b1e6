//! The format of a namespace, and which libraries may read and write it.
//!
//! The log's head says so. Every append reads it in its transaction, and every page of the log before its events: a
//! library that is too old stops with the first call after a migration. Other reads look whenever a connection was made
//! since the last look, because a migration can have come with another server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mongodb::ClientSession;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use tokio::time::Instant;

use super::document::number;
use super::error::Failure;
use super::names::{LOG, Names};
use super::work::left;

/// The format this library writes, and the oldest library that may read it and write it.
const FORMAT: u64 = 1;
const MIN_READER: u64 = 1;
const MIN_WRITER: u64 = 1;

/// What a log's head says of its format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    format: u64,
    min_reader: u64,
    min_writer: u64,
}

impl Format {
    /// What a new log's head says.
    pub(super) fn of_new() -> Document {
        let [format, min_reader, min_writer] = [FORMAT, MIN_READER, MIN_WRITER].map(u64::cast_signed);
        doc! { "format": format, "min_reader": min_reader, "min_writer": min_writer }
    }

    pub(super) fn of(log: &RawDocument) -> Result<Self, Failure> {
        Ok(Self {
            format: number(log, "format")?,
            min_reader: number(log, "min_reader")?,
            min_writer: number(log, "min_writer")?,
        })
    }

    pub(super) fn check_reader(self) -> Result<(), Failure> {
        if self.min_reader > FORMAT { Err(self.too_old("read", self.min_reader)) } else { Ok(()) }
    }

    pub(super) fn check_writer(self) -> Result<(), Failure> {
        if self.min_writer > FORMAT { Err(self.too_old("written", self.min_writer)) } else { Ok(()) }
    }

    fn too_old(self, what: &str, needed: u64) -> Failure {
        Failure::Setup(format!(
            "the namespace has format {} and can only be {what} by a library of format {needed} or later; this library \
             has format {FORMAT}",
            self.format
        ))
    }
}

/// The log's head: how far the log goes, and its format.
pub(super) async fn log_head(
    names: &Names,
    session: &mut ClientSession,
    deadline: Instant,
) -> Result<RawDocumentBuf, Failure> {
    let log = names.heads.find_one(doc! { "_id": LOG }).max_time(left(deadline)).session(session).await?;
    log.ok_or_else(|| Failure::Setup(format!("{} is gone: open the store again", names.heads.name())))
}

/// How many connections a client has made.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Arc<AtomicU64>);

impl Connections {
    pub(super) fn counter(&self) -> EventHandler<CmapEvent> {
        let made = Arc::clone(&self.0);
        EventHandler::callback(move |event| {
            if matches!(event, CmapEvent::ConnectionReady(_)) {
                made.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn made(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Looks at the format again after a connection was made.
#[derive(Debug)]
pub(super) struct FormatCheck {
    connections: Connections,
    /// How many connections had been made at the last look.
    looked_at: AtomicU64,
}

impl FormatCheck {
    pub(super) fn new(connections: Connections) -> Self {
        Self { connections, looked_at: AtomicU64::new(0) }
    }

    /// Refuses to read what this library is too old for.
    pub(super) async fn reader(
        &self,
        names: &Names,
        session: &mut ClientSession,
        deadline: Instant,
    ) -> Result<(), Failure> {
        if self.connections.made() == self.looked_at.load(Ordering::Relaxed) {
            return Ok(());
        }
        Format::of(&log_head(names, session, deadline).await?)?.check_reader()?;
        self.looked_at.store(self.connections.made(), Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_have_a_limit_each() {
        let may = |min_reader, min_writer| {
            let format = Format { format: 9, min_reader, min_writer };
            (format.check_reader().is_ok(), format.check_writer().is_ok())
        };
        assert_eq!(may(FORMAT, FORMAT), (true, true));
        assert_eq!(may(FORMAT, FORMAT + 1), (true, false));
        assert_eq!(may(FORMAT + 1, FORMAT), (false, true));
    }
}
