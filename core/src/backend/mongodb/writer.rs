//! What the transactions of a namespace share.

use mongodb::options::WriteConcern;
use uuid::Uuid;

use super::abandoned::Writers;
use super::document::Place;
use super::names::Names;
use crate::event::Event;

/// What every transaction of a namespace needs.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) names: Names,
    pub(super) epoch: Uuid,
    pub(super) write_concern: WriteConcern,
    pub(super) writers: Writers,
}

/// An event to write, and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) event: &'a Event,
    pub(super) place: Place<'a>,
}
