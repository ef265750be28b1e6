//! What a namespace's collections are called, and what stands in them.
//!
//! - `streamkeep.NAMESPACE.events`: one document an event;
//! - `streamkeep.NAMESPACE.heads`: where each stream stands, and under [`LOG`], the name that no stream has, where the
//!   log does;
//! - `streamkeep.NAMESPACE.snapshots`;
//! - `streamkeep.NAMESPACE.writers`: the sessions that write, and when each was last seen (see [`super::abandoned`]);
//! - `streamkeep.namespaces`: the namespaces of the database;
//! - `streamkeep.server_check`: stays empty (see [`super::server_check`]).

use mongodb::bson::RawDocumentBuf;
use mongodb::{Collection, Database};

/// The registry of namespaces.
pub(super) const REGISTRY: &str = "streamkeep.namespaces";
/// The collection for the check of the server.
pub(super) const SERVER_CHECK: &str = "streamkeep.server_check";
/// The id of the log's own head: the position of its last event. Whoever has changed it has the turn to write.
pub(super) const LOG: &str = "";
/// The index that finds events by position, and keeps two from standing at one.
pub(super) const POSITION_INDEX: &str = "position";
/// The index that finds a stream's events, and keeps two from having one version.
pub(super) const VERSION_INDEX: &str = "stream_version";
/// The index that finds events by tag.
pub(super) const TAG_INDEX: &str = "tags_position";
/// The index that finds a stream's snapshots.
pub(super) const SNAPSHOT_INDEX: &str = "stream_schema_version";

/// The index by which the sessions of long ago are forgotten.
pub(super) const SEEN_INDEX: &str = "seen";

/// A collection of documents as they are.
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
    /// The namespace's name was checked: it is the one text that becomes part of a name.
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
