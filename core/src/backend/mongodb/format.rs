//! The format of a namespace, and which libraries may read and write it.
//!
//! The log's head has the format. Every append reads it in its transaction, and every page of the log reads it before
//! its events. So a library that is too old stops at its first call after a migration. Other reads check the format
//! again after each new connection.

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
use crate::format::Format;

/// The format that this library writes, and the oldest formats whose libraries may read and write it.
const FORMAT: i64 = 1;
const MIN_READER: i64 = 1;
const MIN_WRITER: i64 = 1;

/// The format fields of a new log's head.
pub(super) fn of_new() -> Document {
    doc! { "format": FORMAT, "min_reader": MIN_READER, "min_writer": MIN_WRITER }
}

/// Reads the format from a log's head.
pub(super) fn of_log(log: &RawDocument) -> Result<Format, Failure> {
    let number = |name: &str| number(log, name).map(u64::cast_signed);
    Ok(Format { format: number("format")?, min_reader: number("min_reader")?, min_writer: number("min_writer")? })
}

pub(super) fn check_reader(format: Format) -> Result<(), Failure> {
    format.check_reader(FORMAT).map_err(Failure::Setup)
}

pub(super) fn check_writer(format: Format) -> Result<(), Failure> {
    format.check_writer(FORMAT).map_err(Failure::Setup)
}

/// Reads the log's head, which has the last position and the format.
pub(super) async fn log_head(
    names: &Names,
    session: &mut ClientSession,
    deadline: Instant,
) -> Result<RawDocumentBuf, Failure> {
    let log = names.heads.find_one(doc! { "_id": LOG }).max_time(left(deadline)).session(session).await?;
    log.ok_or_else(|| {
        Failure::Setup(format!("{} is missing: close every store on it, and open it again", names.heads.name()))
    })
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

/// Checks the format again after a connection was made.
#[derive(Debug)]
pub(super) struct FormatCheck {
    connections: Connections,
    /// How many connections the client had made at the last check.
    looked_at: AtomicU64,
}

impl FormatCheck {
    pub(super) fn new(connections: Connections) -> Self {
        Self { connections, looked_at: AtomicU64::new(0) }
    }

    /// Refuses to read a format for which this library is too old.
    pub(super) async fn reader(
        &self,
        names: &Names,
        session: &mut ClientSession,
        deadline: Instant,
    ) -> Result<(), Failure> {
        // Counted before the check, so that a connection that is made meanwhile causes another check.
        let made = self.connections.made();
        if made == self.looked_at.load(Ordering::Relaxed) {
            return Ok(());
        }
        check_reader(of_log(&log_head(names, session, deadline).await?)?)?;
        self.looked_at.store(made, Ordering::Relaxed);
        Ok(())
    }
}
