//! The stored format of a namespace: which version this library writes, and whether it may read and write another.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Failure;
use crate::format::Format;

/// The format that this library writes, and the oldest library formats that may read it and write it.
pub(super) const FORMAT: i32 = 1;
pub(super) const MIN_READER: i32 = 1;
pub(super) const MIN_WRITER: i32 = 1;

/// Reads the registry's columns `format, min_reader, min_writer`, which begin at the column `first`.
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
