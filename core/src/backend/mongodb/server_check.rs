//! Checks whether the server does what the store relies on.
//!
//! Other servers speak the protocol of MongoDB. Some of them accept a transaction and ignore it, or accept an index and
//! do not enforce it. A log on such a server would be damaged without an error. So a transaction is aborted and looked
//! for, a duplicate is written, and a change stream is opened. No version is trusted.
//!
//! All writes of the check belong to transactions that are aborted, and each check has values of its own. So checks of
//! many processes at the same time do not affect each other, and nothing is left behind.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::{Document, RawDocument, doc, rawdoc};
use mongodb::options::{ReadConcern, ReadPreference, ReturnDocument, SelectionCriteria};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::document::uuid;
use super::error::{Class, Failure};
use super::format::{check_writer, log_head, of_log};
use super::names::{Names, Raw};
use super::schema::make_snapshot_index;
use super::work::{left, pauses};
use crate::faults::planted;

/// The clocks of a cluster's members differ by less than this.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// Done once for a database.
#[derive(Debug, Default)]
pub(super) struct ServerCheck {
    passed: OnceCell<()>,
}

impl ServerCheck {
    pub(super) fn has_passed(&self) -> bool {
        self.passed.initialized()
    }

    /// At open: checks the server in a collection that exists for this. A user who may not write there is not checked
    /// yet: the first write is.
    pub(super) async fn at_open(
        &self,
        names: &Names,
        session: &mut ClientSession,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let check = async {
            make_snapshot_index(&names.server_check, session).await?;
            check(&names.server_check, names, session, deadline).await
        };
        match self.passed.get_or_try_init(|| check).await {
            Err(failure) if failure.forbids_writing() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Before the first write: checks the server if that was not possible at open. The collection of snapshots has the
    /// index that is needed.
    pub(super) async fn before_writing(
        &self,
        names: &Names,
        session: &mut ClientSession,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let check = async {
            // A library that is too old to write does not even try.
            check_writer(of_log(&log_head(names, session, deadline).await?)?)?;
            check(&names.snapshots, names, session, deadline).await
        };
        self.passed.get_or_try_init(|| check).await.map(drop)
    }
}

async fn check(place: &Raw, names: &Names, session: &mut ClientSession, deadline: Instant) -> Result<(), Failure> {
    if planted("mongodb-checks-no-server") {
        return Ok(());
    }
    let mut pauses = pauses();
    let wrong = loop {
        match look(place, names, session, deadline).await {
            // A repeated check uses other values, so it does not matter what became of this one.
            Err(failure)
                if (failure.class() == Class::Again || matches!(failure, Failure::Lost(_)))
                    && Instant::now() < deadline =>
            {
                sleep(pauses.next().unwrap_or_default()).await;
            }
            answer => break answer?,
        }
    };
    let Some(wrong) = wrong else { return Ok(()) };
    let about = names.database.run_command(doc! { "buildInfo": 1 }).session(session).await.unwrap_or_default();
    let version = about.get_str("version").unwrap_or("of an unknown version");
    Err(Failure::Setup(format!(
        "the server does not do what the store relies on: {wrong}; it calls itself MongoDB {version}"
    )))
}

/// What is wrong, if anything.
async fn look(
    place: &Raw,
    names: &Names,
    session: &mut ClientSession,
    deadline: Instant,
) -> Result<Option<String>, Failure> {
    // No stream has an empty name, so this is no snapshot of one.
    let key = Uuid::new_v4().to_string();
    let hello = names.database.run_command(doc! { "hello": 1 }).session(&mut *session).await?;

    begin(session).await?;
    let written = write_time(place, session, &key).await;
    abort(session).await;
    let written = match written {
        Err(failure) if is_refusal(&failure) => {
            return Ok(Some(format!("an update in a transaction is refused: {failure}")));
        }
        other => other?,
    };

    begin(session).await?;
    let twice = [document(&key), document(&key)];
    let twice = place.insert_many(twice).session(&mut *session).await.map_err(Failure::from);
    abort(session).await;
    let twice = match twice {
        Err(failure) if failure.is_duplicate() => None,
        Ok(_) => Some("a unique index takes a value twice".to_owned()),
        Err(failure) if is_refusal(&failure) => {
            Some(format!("a unique index refuses a duplicate with another error than 11000: {failure}"))
        }
        Err(failure) => return Err(failure),
    };

    let of_check = doc! { "stream": "", "schema": &key };
    let left_behind = place.find_one(of_check.clone()).max_time(left(deadline)).session(&mut *session).await?;
    if left_behind.is_some() {
        // Best effort: the server is refused either way.
        let _ = place.delete_many(of_check).session(session).await;
        return Ok(Some("a transaction that was aborted leaves what it wrote".to_owned()));
    }
    if twice.is_some() {
        return Ok(twice);
    }
    if !is_time(written.as_deref(), &hello) {
        return Ok(Some("$$NOW is not the server's time".to_owned()));
    }
    change_stream(names).await
}

async fn begin(session: &mut ClientSession) -> Result<(), Failure> {
    let begun = session
        .start_transaction()
        .read_concern(ReadConcern::majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    Ok(begun.await?)
}

/// An error of the driver says nothing about the server here, and a transaction that the server has ended is as good.
async fn abort(session: &mut ClientSession) {
    let _ = session.abort_transaction().await;
}

/// Writes the server's time, by an update like that of the log's head. Answers what was written.
async fn write_time(
    place: &Raw,
    session: &mut ClientSession,
    key: &str,
) -> Result<Option<mongodb::bson::RawDocumentBuf>, Failure> {
    let change = doc! { "$set": { "stream": "", "schema": key, "version": 0_i64, "at": "$$NOW" } };
    let written = place
        .find_one_and_update(doc! { "_id": uuid(Uuid::new_v4()) }, vec![change])
        .upsert(true)
        .return_document(ReturnDocument::After)
        .session(session)
        .await;
    Ok(written?)
}

fn document(key: &str) -> mongodb::bson::RawDocumentBuf {
    rawdoc! { "_id": uuid(Uuid::new_v4()), "stream": "", "schema": key, "version": 0_i64 }
}

/// Whether the server said no for good, and not because this user may not write.
fn is_refusal(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { .. }) && failure.class() == Class::Final && !failure.forbids_writing()
}

/// Whether a document has a time at `at` that is close to the server's own clock.
fn is_time(written: Option<&RawDocument>, hello: &Document) -> bool {
    let at = written.and_then(|written| written.get_datetime("at").ok());
    let (Some(at), Ok(clock)) = (at, hello.get_datetime("localTime")) else { return false };
    at.timestamp_millis().abs_diff(clock.timestamp_millis()) < u64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(u64::MAX)
}

/// A server that has no change streams, or does not allow them, says so, and polling is enough. One that seems to have
/// them has to give a cursor.
async fn change_stream(names: &Names) -> Result<Option<String>, Failure> {
    match names.database.aggregate([doc! { "$changeStream": {} }]).await.map_err(Failure::from) {
        Ok(stream) if !stream.has_next() => Ok(Some("a change stream is answered without a cursor".to_owned())),
        Ok(_) | Err(Failure::Refused { .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}
