//! What the native modules of Python, Node.js and the JVM do alike, so that it is written once.
//!
//! [`runtime`] builds the threads that serve all stores of a process, by one setting. [`log`] takes core's log lines.
//! Each binding adds how its language is woken and how values are converted.

pub mod log;
pub mod runtime;
