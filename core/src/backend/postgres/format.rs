//! The format of a namespace, which this library may be too old to read or to write.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Failure;
use crate::format::Format;

/// The format this library writes, and the oldest library that may read it and write it.
pub(super) const FORMAT: i32 = 1;
pub(super) const MIN_READER: i32 = 1;
pub(super) const MIN_WRITER: i32 = 1;

/// Reads `format, min_reader, min_writer` of the registry, from a column on.
pub(super) fn read(row: &PgRow, first: usize) -> Result<Format, sqlx::Error> {
    let number = |place: usize| row.try_get::<i32, _>(first + place).map(i64::from);
    Ok(Format { format: number(0)?, min_reader: number(1)?, min_writer: number(2)? })
}

pub(super) fn check_reader(format: Format) -> Result<(), Failure> {
    format.check_reader(FORMAT.into()).map_err(Failure::Setup)
}

pub(super) fn check_writer(format: Format) -> Result<(), Failure> {
    format.check_writer(FORMAT.into()).map_err(Failure::Setup)
}
