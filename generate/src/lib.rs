//! Writes what follows from `surface.json` mechanically: conversions of options and results, typings of native modules,
//! the scenario runner's dispatch.
//!
//! [`description`] reads and checks the description. A language is a module that says which files it has and what its
//! templates need to know, and a folder of templates: [`languages`] lists them. [`files`] writes the files, or finds
//! those that differ. [`version`] keeps the one version of all packages.

pub mod description;
pub mod files;
pub mod jvm;
pub mod languages;
pub mod names;
pub mod node;
pub mod python;
pub mod rust;
pub mod template;
pub mod version;
