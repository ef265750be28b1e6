//! Tests of the contract on every backend: see `rules.md`, and `scenarios/README.md` for the scenarios of all
//! languages.

pub mod architecture;
pub mod behaviour;
pub mod documents;
pub mod effort;
pub mod harness;
pub mod model;
mod native;
pub mod rules;
pub mod scenario;
pub mod servers;
pub mod suite;
pub mod surface;
pub mod two_sessions;
pub mod vectors;
