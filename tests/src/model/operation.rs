//! Operations as data, so that they can be generated and shrunk.

use proptest::prelude::*;
use proptest::sample::Index;
use streamkeep::{Direction, Query, QueryItem};

/// Few streams, so that operations meet; two of the names are also their categories.
pub(super) const STREAMS: [&str; 5] = ["order-1", "order-2", "audit", "é-'1", "-7"];
const TYPES: [&str; 3] = ["A", "B", "C"];
const TAGS: [&str; 3] = ["x", "y:1", "z"];

/// The expected version of an append, before the stream's version is known.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Any,
    NoStream,
    StreamExists,
    /// The version of the stream.
    Right,
    /// Another version.
    Wrong(u64),
}

/// The content of an event.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) event_type: &'static str,
    pub(super) data: u32,
    pub(super) tags: Vec<&'static str>,
}

/// How an append repeats an earlier one.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The same append.
    Nothing,
    /// The same events for another stream.
    Stream(usize),
    /// Other data in the last event.
    Data,
    /// One more event.
    Longer,
    /// Only the first event.
    Shorter,
}

/// One operation.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Append {
        stream: usize,
        expected: Expected,
        contents: Vec<Content>,
    },
    /// Repeats an earlier append, whether it was stored or refused.
    Again {
        which: Index,
        change: Change,
        expected: Expected,
    },
    /// `skip` versions are omitted before the first event; with `None` the store chooses the versions.
    Import {
        stream: usize,
        skip: Option<u64>,
        contents: Vec<Content>,
    },
    ImportAgain {
        which: Index,
        change: Change,
    },
    Read {
        stream: usize,
        from_version: u64,
        to_version: Option<u64>,
        direction: Direction,
        limit: Option<u64>,
    },
    ReadAll {
        after: Option<Index>,
        before: Option<Index>,
        query: Query,
        direction: Direction,
        limit: Option<u64>,
    },
    Pages {
        query: Query,
        limit: u64,
    },
    SaveSnapshot {
        stream: usize,
        version: u64,
        schema: bool,
        data: u32,
    },
    LoadSnapshot {
        stream: usize,
        schema: bool,
        at_or_before: Option<u64>,
    },
    Head,
    /// Later operations use a second handle.
    OtherHandle,
}

fn content() -> impl Strategy<Value = Content> {
    (proptest::sample::select(&TYPES[..]), any::<u32>(), proptest::sample::subsequence(&TAGS[..], 0..=2))
        .prop_map(|(event_type, data, tags)| Content { event_type, data, tags })
}

fn contents() -> impl Strategy<Value = Vec<Content>> {
    proptest::collection::vec(content(), 1..5)
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![
        4 => Just(Expected::Any),
        1 => Just(Expected::NoStream),
        1 => Just(Expected::StreamExists),
        3 => Just(Expected::Right),
        2 => (0..12_u64).prop_map(Expected::Wrong),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![3 => Just(Change::Nothing), 1 => (0..STREAMS.len()).prop_map(Change::Stream), 1 => Just(Change::Data), 1 => Just(Change::Longer), 1 => Just(Change::Shorter)]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Forward), Just(Direction::Backward)]
}

fn query() -> impl Strategy<Value = Query> {
    let names = |all: Vec<&'static str>, most: usize| {
        proptest::sample::subsequence(all, 0..=most)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let item = (
        names(TYPES.to_vec(), 2),
        names(TAGS.to_vec(), 2),
        names(vec!["order", "audit", "é", "-7", "order-1"], 2),
        names(STREAMS.to_vec(), 1),
    )
        .prop_map(|(types, tags, categories, streams)| QueryItem { types, tags, categories, streams });
    proptest::collection::vec(item, 0..3).prop_map(|items| Query { items })
}

fn limit() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(1..8_u64)
}

/// Any operation. Writes are more frequent, so that there is something to read.
pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let stream = || 0..STREAMS.len();
    prop_oneof![
        6 => (stream(), expected(), contents()).prop_map(|(stream, expected, contents)| Operation::Append { stream, expected, contents }),
        3 => (any::<Index>(), change(), expected()).prop_map(|(which, change, expected)| Operation::Again { which, change, expected }),
        2 => (stream(), proptest::option::of(0..3_u64), contents()).prop_map(|(stream, skip, contents)| Operation::Import { stream, skip, contents }),
        1 => (any::<Index>(), change()).prop_map(|(which, change)| Operation::ImportAgain { which, change }),
        3 => (stream(), 1..10_u64, proptest::option::of(0..12_u64), direction(), limit())
            .prop_map(|(stream, from_version, to_version, direction, limit)| Operation::Read { stream, from_version, to_version, direction, limit }),
        3 => (proptest::option::of(any::<Index>()), proptest::option::of(any::<Index>()), query(), direction(), limit())
            .prop_map(|(after, before, query, direction, limit)| Operation::ReadAll { after, before, query, direction, limit }),
        2 => (query(), 1..6_u64).prop_map(|(query, limit)| Operation::Pages { query, limit }),
        2 => (stream(), 0..10_u64, any::<bool>(), any::<u32>()).prop_map(|(stream, version, schema, data)| Operation::SaveSnapshot { stream, version, schema, data }),
        2 => (stream(), any::<bool>(), proptest::option::of(0..10_u64)).prop_map(|(stream, schema, at_or_before)| Operation::LoadSnapshot { stream, schema, at_or_before }),
        1 => Just(Operation::Head),
        1 => Just(Operation::OtherHandle),
    ]
}
