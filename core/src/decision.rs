//! Decides what an append or an import means, given the facts. There is one implementation for all backends.
//!
//! A backend looks up two kinds of facts in one snapshot: the known events among the ids, and the versions of the
//! streams. It is told what to write. If the facts have changed by the time it writes, its unique constraints fail, and
//! it asks again with new facts.

use std::collections::HashMap;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::event::{Event, ImportEvent, Payload, RecordedEvent};
use crate::request::{AppendRequest, AppendResult};
use crate::value::same_json;
use crate::version::ExpectedVersion;

/// The facts for a decision, read from one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The version of each stream of the request. A stream without events may be left out.
    pub heads: HashMap<String, u64>,
    /// Each event of the request whose id is known.
    pub known: HashMap<Uuid, KnownEvent>,
}

/// A stored event that has one of the ids.
#[derive(Clone, Debug)]
pub(crate) struct KnownEvent {
    pub stream: String,
    pub version: u64,
    pub position: u64,
    /// The content of the event. `None` if it was removed or cannot be read, which counts as equal.
    pub content: Option<Box<RecordedEvent>>,
}

/// What to do with one append.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Write its events with versions from this one on.
    Write { first_version: u64 },
    /// It was stored before. This is the answer of that time.
    Repeated(AppendResult),
    /// Refuse it.
    Refuse(Error),
    /// It depends on an earlier append of the same group. Decide again when that is written.
    Again,
}

/// Decides a group of appends, in the order given.
///
/// An accepted append counts for those that follow it in the group. `Again` only follows a `Write` of the same group,
/// so asking again with new facts makes progress.
pub(crate) fn decide_appends(group: &[AppendRequest], facts: &Facts) -> Vec<Decision> {
    let mut heads = facts.heads.clone();
    let mut accepted: HashMap<Uuid, ()> = HashMap::new();
    group
        .iter()
        .map(|request| {
            if request.events.iter().any(|event| accepted.contains_key(&event.id)) {
                return Decision::Again;
            }
            match repeated(&request.stream, &request.events, facts) {
                Some(Ok(appended)) => return Decision::Repeated(appended),
                Some(Err(error)) => return Decision::Refuse(error),
                None => {}
            }
            let head = heads.entry(request.stream.clone()).or_insert(0);
            if !request.expected.holds(*head) {
                return Decision::Refuse(Error::conflict(&request.stream, request.expected, *head));
            }
            let first_version = *head + 1;
            *head += request.events.len() as u64;
            accepted.extend(request.events.iter().map(|event| (event.id, ())));
            Decision::Write { first_version }
        })
        .collect()
}

/// Whether a refusal can still become wrong because an earlier attempt, whose outcome is unknown, may be running.
///
/// A conflict is final if the stream is already past the expected version, and a refusal of known ids is final.
#[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only Postgres can leave an attempt running"))]
pub(crate) fn may_become_wrong(request: &AppendRequest, refusal: &Error) -> bool {
    match refusal.kind() {
        crate::error::ErrorKind::Conflict { actual, .. } => request.expected.may_hold_later(*actual),
        crate::error::ErrorKind::DuplicateEvent { .. } => false,
        _ => true,
    }
}

/// Finds out whether the ids of an append are known: as that append would have stored them, in another way, or not at
/// all.
fn repeated(stream: &str, events: &[Event], facts: &Facts) -> Option<Result<AppendResult>> {
    let known: Vec<Option<&KnownEvent>> = events.iter().map(|event| facts.known.get(&event.id)).collect();
    let (first_known, first) = known.iter().enumerate().find_map(|(n, known)| known.map(|known| (n, known)))?;
    let duplicate =
        |n: usize, known: &KnownEvent| Some(Err(Error::duplicate_event(events[n].id, &known.stream, known.version)));
    let mut last: Option<&KnownEvent> = None;
    for (n, (event, found)) in events.iter().zip(&known).enumerate() {
        let Some(found) = found else { return duplicate(first_known, first) };
        let follows = last.is_none_or(|last| found.version == last.version + 1 && found.position > last.position);
        if found.stream != stream || !follows || !same_content(event, found.content.as_deref()) {
            return duplicate(n, found);
        }
        last = Some(found);
    }
    last.map(|last| Ok(AppendResult { version: last.version, position: last.position, repeated: true }))
}

/// Whether a recorded event has the same content as an event to append (contract rule 4).
fn same_content(event: &Event, recorded: Option<&RecordedEvent>) -> bool {
    let Some(recorded) = recorded else { return true };
    event.event_type == recorded.event_type
        && event.schema == recorded.schema
        && same_tags(&event.tags, &recorded.tags)
        && same_payload(&event.data, &recorded.data)
        && same_json(&event.metadata, &recorded.metadata)
}

fn same_tags(a: &[String], b: &[String]) -> bool {
    a.iter().all(|tag| b.contains(tag)) && b.iter().all(|tag| a.contains(tag))
}

fn same_payload(a: &Payload, b: &Payload) -> bool {
    match (a, b) {
        (Payload::Json(a), Payload::Json(b)) => same_json(a, b),
        (Payload::Bytes(a), Payload::Bytes(b)) => a == b,
        _ => false,
    }
}

/// What to do with one event of an import.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ImportDecision {
    /// Write it at this version.
    Write { version: u64 },
    /// It is stored already, at this position.
    PassOver { position: u64 },
}

/// Decides an import, event by event in the order given. One event that is refused refuses the import.
///
/// # Errors
/// `duplicate-event` when an id is known with other content or in another place, `conflict` when a version does not
/// follow.
pub(crate) fn decide_import(events: &[ImportEvent], facts: &Facts) -> Result<Vec<ImportDecision>> {
    let mut heads = facts.heads.clone();
    let mut seen: HashMap<Uuid, (&str, u64)> = HashMap::new();
    events
        .iter()
        .map(|import| {
            let id = import.event.id;
            if let Some(known) = facts.known.get(&id) {
                let same_place =
                    known.stream == import.stream && import.version.is_none_or(|version| version == known.version);
                let same_time = import
                    .recorded_at
                    .is_none_or(|at| known.content.as_ref().is_none_or(|content| at == content.recorded_at));
                if !same_place || !same_time || !same_content(&import.event, known.content.as_deref()) {
                    return Err(Error::duplicate_event(id, &known.stream, known.version));
                }
                return Ok(ImportDecision::PassOver { position: known.position });
            }
            if let Some((stream, version)) = seen.get(&id) {
                return Err(Error::duplicate_event(id, stream, *version));
            }
            let head = heads.entry(import.stream.clone()).or_insert(0);
            let version = import.version.unwrap_or(*head + 1);
            if version == 0 || (*head > 0 && version != *head + 1) {
                let expected = ExpectedVersion::Exact(version.saturating_sub(1));
                return Err(Error::conflict(&import.stream, expected, *head));
            }
            *head = version;
            seen.insert(id, (&import.stream, version));
            Ok(ImportDecision::Write { version })
        })
        .collect()
}
