//! One open database per process, URL and runtime: what its namespaces and handles share.
//!
//! A handle holds a [`Claim`] on its namespace and database. The last claim frees them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle as Runtime;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::backend::DatabaseBackend;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::per_process::PerProcess;
use crate::url::{DatabaseKey, Location};

/// A database, and its open namespaces.
pub(crate) struct Database {
    key: Option<DatabaseKey>,
    backend: OnceCell<Arc<dyn DatabaseBackend>>,
    namespaces: tokio::sync::Mutex<HashMap<String, Open>>,
    /// Counted under the registry's lock.
    claims: Mutex<usize>,
}

struct Open {
    namespace: Arc<Namespace>,
    claims: usize,
}

/// The key has the URL, which can have a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("backend", &self.backend.get()).finish_non_exhaustive()
    }
}

/// One handle's share of a namespace and its database.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) namespace: Arc<Namespace>,
    name: String,
    database: DatabaseClaim,
    runtime: Runtime,
}

impl Database {
    /// Opens a namespace of a database. It shares whatever this process has open already.
    pub(crate) async fn open(location: &Location, runtime: &Runtime, deadline: Instant) -> Result<Claim> {
        let database = DatabaseClaim::take(location.database_key(runtime)?);
        let backend = database.backend.get_or_try_init(|| location.open_database(deadline)).await?;
        let (name, create) = (location.options.namespace.clone(), location.options.create);
        let mut namespaces = database.namespaces.lock().await;
        let namespace = match namespaces.get_mut(&name) {
            Some(open) => {
                open.claims += 1;
                Arc::clone(&open.namespace)
            }
            None => {
                let backends = match backend.open_namespace(&name, create, deadline).await {
                    Ok(backends) => backends,
                    Err(error) => {
                        drop(namespaces);
                        database.release().await;
                        return Err(error);
                    }
                };
                let namespace = Arc::new(Namespace::new(backends, runtime));
                namespaces.insert(name.clone(), Open { namespace: Arc::clone(&namespace), claims: 1 });
                namespace
            }
        };
        drop(namespaces);
        Ok(Claim { namespace, name, database, runtime: runtime.clone() })
    }
}

impl Claim {
    /// Gives the claim up; with the last one, closes the namespace and then the database.
    pub(crate) async fn release(self) {
        let Self { namespace, name, database, .. } = self;
        let mut namespaces = database.namespaces.lock().await;
        let last = match namespaces.get_mut(&name) {
            Some(open) if open.claims > 1 => {
                open.claims -= 1;
                false
            }
            _ => namespaces.remove(&name).is_some(),
        };
        if last {
            // Under the lock, so that opening the same namespace waits until this one is closed.
            namespace.close().await;
        }
        drop(namespaces);
        database.release().await;
    }

    /// Gives the claim up in the background, for a handle that is dropped without a close.
    pub(crate) fn release_later(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self.release());
    }
}

/// A counted reference to a database. The last one takes it out of the registry.
#[derive(Debug)]
struct DatabaseClaim {
    database: Arc<Database>,
    given_up: bool,
}

impl DatabaseClaim {
    fn take(key: Option<DatabaseKey>) -> Self {
        let new = |key| {
            Arc::new(Database {
                key,
                backend: OnceCell::new(),
                namespaces: tokio::sync::Mutex::default(),
                claims: Mutex::new(0),
            })
        };
        let mut open = registry();
        let database = match &key {
            Some(found) => Arc::clone(open.entry(found.clone()).or_insert_with(|| new(key.clone()))),
            None => new(None),
        };
        *database.claims() += 1;
        drop(open);
        Self { database, given_up: false }
    }

    /// Gives the claim up; with the last one, closes the database.
    async fn release(mut self) {
        if let (true, Some(backend)) = (self.count_down(), self.database.backend.get()) {
            backend.close().await;
        }
    }

    /// Gives the claim up. Returns whether it was the last.
    fn count_down(&mut self) -> bool {
        if std::mem::replace(&mut self.given_up, true) {
            return false;
        }
        let mut open = registry();
        let mut claims = self.database.claims();
        *claims -= 1;
        if let (0, Some(key)) = (*claims, &self.database.key) {
            open.remove(key);
        }
        *claims == 0
    }
}

impl std::ops::Deref for DatabaseClaim {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// After an open that failed.
impl Drop for DatabaseClaim {
    fn drop(&mut self) {
        self.count_down();
    }
}

impl Database {
    fn claims(&self) -> MutexGuard<'_, usize> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type OpenDatabases = HashMap<DatabaseKey, Arc<Database>>;

/// The databases that this process has open. A forked child starts with none: the connections belong to the parent.
fn registry() -> MutexGuard<'static, OpenDatabases> {
    static OPEN: PerProcess<Mutex<OpenDatabases>> = PerProcess::new();
    OPEN.get().lock().unwrap_or_else(PoisonError::into_inner)
}
