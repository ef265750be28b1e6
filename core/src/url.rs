//! Maps a URL to a backend. This is the only module that names the backends.

use std::sync::Arc;

use tokio::runtime::{Handle as Runtime, Id as RuntimeId};
use tokio::time::Instant;
use url::form_urlencoded;

use crate::backend::{DatabaseBackend, memory};
use crate::error::{Error, Result};
use crate::limits::MAX_TIMEOUT;
use crate::options::{OpenOptions, unknown_parameter};

/// A URL that was read and is well-formed. Nothing is opened yet.
pub(crate) struct Location {
    /// The URL before its first `?`.
    address: String,
    /// The parameters that are not options of `open`.
    parameters: Vec<(String, String)>,
    pub(crate) options: OpenOptions,
}

/// Two opens with the same key share a database. The key has the URL and is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct DatabaseKey {
    database: String,
    runtime: RuntimeId,
}

impl Location {
    /// Reads a URL and applies the options in it.
    pub(crate) fn read(mut options: OpenOptions) -> Result<Self> {
        let (address, parameters) = take_parameters(&mut options)?;
        options.check()?;
        options.timeout = options.timeout.min(MAX_TIMEOUT);
        let location = Self { address, parameters, options };
        let (network, pooler) = match location.scheme()? {
            "postgres" | "postgresql" => (true, true),
            "mongodb" | "mongodb+srv" => (true, false),
            "memory" | "sqlite" => (false, false),
            _ => return Err(no_such_scheme()),
        };
        if let Some((name, _)) = location.parameters.first().filter(|_| !network) {
            return Err(unknown_parameter(name, &location.parameters));
        }
        if location.options.pooler.is_some() && !pooler {
            return Err(Error::config("only Postgres has the option 'pooler'"));
        }
        Ok(location)
    }

    fn scheme(&self) -> Result<&str> {
        Ok(self.address.split_once(':').ok_or_else(no_such_scheme)?.0)
    }

    /// The part after the scheme's colon.
    fn rest(&self) -> &str {
        self.address.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// The key of this database in the registry; none if it is private to its handle.
    pub(crate) fn database_key(&self, runtime: &Runtime) -> Result<Option<DatabaseKey>> {
        let database = match self.scheme()? {
            "memory" if self.rest().is_empty() => return Ok(None),
            "memory" => self.address.clone(),
            #[cfg(feature = "sqlite")]
            "sqlite" => crate::backend::sqlite::database_key(self.rest(), &self.options)?,
            // Different connection options need a different pool.
            _ => format!(
                "{}?{:?}&{}&{:?}&{}&{:?}",
                self.address,
                self.parameters,
                self.options.max_connections,
                self.options.durability,
                self.options.insecure,
                self.options.pooler,
            ),
        };
        Ok(Some(DatabaseKey { database, runtime: runtime.id() }))
    }

    /// Opens the database.
    #[allow(clippy::unused_async, unused_variables, reason = "depends on which backends are built")]
    pub(crate) async fn open_database(&self, deadline: Instant) -> Result<Arc<dyn DatabaseBackend>> {
        let Self { address, parameters, options } = self;
        Ok(match self.scheme()? {
            "memory" => memory::open(self.rest())?,
            #[cfg(feature = "sqlite")]
            "sqlite" => crate::backend::sqlite::open(self.rest(), options, deadline).await?,
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => crate::backend::postgres::open(address, parameters, options)?,
            #[cfg(feature = "mongodb")]
            "mongodb" | "mongodb+srv" => crate::backend::mongodb::open(address, parameters, options)?,
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => return Err(not_built("sqlite")),
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => return Err(not_built("postgres")),
            #[cfg(not(feature = "mongodb"))]
            "mongodb" | "mongodb+srv" => return Err(not_built("mongodb")),
            _ => return Err(no_such_scheme()),
        })
    }
}

fn no_such_scheme() -> Error {
    Error::config("a store's URL begins with memory:, sqlite:, postgres: or mongodb:")
}

/// Splits a URL into the part before `?` and the parameters that are not options of `open`; applies those that are.
fn take_parameters(options: &mut OpenOptions) -> Result<(String, Vec<(String, String)>)> {
    let url = std::mem::take(&mut options.url);
    let (address, query) = url.split_once('?').unwrap_or((&url, ""));
    let mut rest = Vec::new();
    // A plus is a plus, as in libpq and MongoDB. Only HTML forms use it for a space.
    let query = query.replace('+', "%2B");
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !options.set(&name, &value)? {
            rest.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok((address.to_owned(), rest))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mongodb")))]
fn not_built(feature: &str) -> Error {
    Error::config(format!("this build has no {feature}: enable the crate's feature '{feature}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_in_a_parameter_is_a_plus() -> Result<()> {
        let url = "postgres://localhost/x?password=a+b%2Bc%20d&application_name=e+f";
        let location = Location::read(OpenOptions::new(url))?;
        let parameters: Vec<_> =
            location.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(parameters, [("password", "a+b+c d"), ("application_name", "e+f")]);
        Ok(())
    }
}
