//! The scheme table: the only place that knows all backends.

use url::form_urlencoded;

use crate::backend::{Opened, memory};
use crate::error::{Error, Result};
use crate::limits::MAX_TIMEOUT;
use crate::store::OpenOptions;

/// What a URL names, read and found to be well-formed; nothing is opened yet.
pub(crate) struct Place {
    location: String,
    parameters: Vec<(String, String)>,
    pub(crate) options: OpenOptions,
}

/// Reads a URL and takes the options it carries.
pub(crate) fn read(mut options: OpenOptions) -> Result<Place> {
    let (location, parameters) = take_parameters(&mut options)?;
    options.check()?;
    options.timeout = options.timeout.min(MAX_TIMEOUT);
    Ok(Place { location, parameters, options })
}

/// Opens a place.
pub(crate) async fn open(Place { location, parameters, options }: Place) -> Result<(Opened, OpenOptions)> {
    let (scheme, rest) = location.split_once(':').ok_or_else(no_such_scheme)?;
    if !matches!(scheme, "postgres" | "postgresql" | "mongodb" | "mongodb+srv") {
        refuse_unknown(parameters.first())?;
    }
    let opened = match scheme {
        "memory" => memory::open(rest, &options)?,
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::backend::sqlite::open(rest, &options).await?,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::backend::postgres::open(&location, &parameters, &options).await?,
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => crate::backend::mongodb::open(&location, &parameters, &options).await?,
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => return Err(not_built("sqlite")),
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => return Err(not_built("postgres")),
        #[cfg(not(feature = "mongodb"))]
        "mongodb" | "mongodb+srv" => return Err(not_built("mongodb")),
        _ => return Err(no_such_scheme()),
    };
    Ok((opened, options))
}

fn no_such_scheme() -> Error {
    Error::config("a store's URL begins with memory:, sqlite:, postgres: or mongodb:")
}

/// Splits a URL into what stands before `?` and the parameters that are not options of `open`, which are set.
fn take_parameters(options: &mut OpenOptions) -> Result<(String, Vec<(String, String)>)> {
    let url = std::mem::take(&mut options.url);
    let (location, query) = url.split_once('?').unwrap_or((&url, ""));
    let mut rest = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !options.set(&name, &value)? {
            rest.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok((location.to_owned(), rest))
}

/// An unknown parameter is an error, so that a typing mistake does not go unnoticed. Its value may be a secret.
pub(crate) fn refuse_unknown(parameter: Option<&(String, String)>) -> Result<()> {
    parameter.map_or(Ok(()), |(name, _)| Err(Error::config(format!("the URL has an unknown parameter '{name}'"))))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mongodb")))]
fn not_built(feature: &str) -> Error {
    Error::config(format!("this build has no {feature}: enable the crate's feature '{feature}'"))
}
