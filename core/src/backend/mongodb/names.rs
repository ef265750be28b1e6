//! The names of the collections, and what they hold.
//!
//! - `streamkeep.NAMESPACE.events`: one document for each event;
//! - `streamkeep.NAMESPACE.heads`: the version of each stream, and the last position of the log under [`LOG`], which is
//!   not the name of any stream;
//! - `streamkeep.NAMESPACE.snapshots`: the snapshots;
//! - `streamkeep.NAMESPACE.writers`: the sessions that write, and when each was last seen (see [`super::abandoned`]);
//! - `streamkeep.namespaces`: the namespaces of the database;
//! - `streamkeep.server_check`: stays empty (see [`super::server_check`]).

use mongodb::bson::RawDocumentBuf;
use mongodb::{Collection, Database};

/// The registry of namespaces.
pub(super) const REGISTRY: &str = "streamkeep.namespaces";
/// The collection for the check of the server.
pub(super) const SERVER_CHECK: &str = "streamkeep.server_check";
/// The id of the log's head, which has the position of the last event. A transaction that has changed it has the turn
/// to write.
pub(super) const LOG: &str = "";
/// The index that finds events by position, and refuses a second event at the same position.
pub(super) const POSITION_INDEX: &str = "position";
/// The index that finds the events of a stream, and refuses a second event with the same version.
pub(super) const VERSION_INDEX: &str = "stream_version";
/// The index that finds events by tag.
pub(super) const TAG_INDEX: &str = "tags_position";
/// The index that finds the snapshots of a stream.
pub(super) const SNAPSHOT_INDEX: &str = "stream_schema_version";
/// The index that expires the entries of old sessions.
pub(super) const SEEN_INDEX: &str = "seen";

/// A collection whose documents are read as raw BSON.
pub(super) type Raw = Collection<RawDocumentBuf>;

/// A namespace's collections.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) namespace: String,
    pub(super) database: Database,
    pub(super) events: Raw,
    pub(super) heads: Raw,
    pub(super) snapshots: Raw,
    pub(super) writers: Raw,
    pub(super) registry: Raw,
    pub(super) server_check: Raw,
}

impl Names {
    /// The namespace's name must have been checked: it is the only text that becomes part of a collection's name.
    pub(super) fn new(namespace: &str, database: Database) -> Self {
        let of = |what: &str| database.collection(&format!("streamkeep.{namespace}.{what}"));
        Self {
            namespace: namespace.to_owned(),
            events: of("events"),
            heads: of("heads"),
            snapshots: of("snapshots"),
            writers: of("writers"),
            registry: database.collection(REGISTRY),
            server_check: database.collection(SERVER_CHECK),
            database,
        }
    }
}
