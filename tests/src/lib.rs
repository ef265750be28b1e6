//! What proves the contract, on every backend: see `rules.md`, and `scenarios/README.md` for what all languages share.

pub mod harness;
pub mod scenario;
pub mod servers;
pub mod suite;
