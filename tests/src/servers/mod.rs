//! Throw-away database servers: each in a temporary folder, on a free port, gone when dropped.

mod account;
mod postgres;
mod programs;

pub use self::postgres::{PostgresServer, StartError};
