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
    namespaces: Mutex<HashMap<String, Slot>>,
    /// Counted under the registry's lock.
    claims: Mutex<usize>,
}

/// The place of one namespace. It is there while somebody opens, uses or closes the namespace.
#[derive(Clone, Default)]
struct Slot {
    /// Counted under the lock of the database's namespaces.
    claims: usize,
    /// Locked while the namespace opens or closes, so that each waits for the other. Other namespaces wait for neither.
    namespace: Arc<tokio::sync::Mutex<Option<Arc<Namespace>>>>,
}

/// The key has the URL, which can have a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("backend", &self.backend.get()).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens a namespace of a database. It shares what this process has open already.
    pub(crate) async fn open(location: &Location, runtime: &Runtime, deadline: Instant) -> Result<Claim> {
        let database = DatabaseClaim::take(location.database_key(runtime)?);
        let backend = Arc::clone(database.backend.get_or_try_init(|| location.open_database(deadline)).await?);
        let claim = NamespaceClaim::take(database, location.options.namespace.clone());
        let slot = claim.slot();
        let mut place = slot.lock().await;
        if let Some(namespace) = &*place {
            return Ok(Claim::new(Arc::clone(namespace), claim, runtime));
        }
        match backend.open_namespace(&claim.name, location.options.create, deadline).await {
            Ok(backends) => {
                let namespace = Arc::new(Namespace::new(backends, runtime));
                *place = Some(Arc::clone(&namespace));
                Ok(Claim::new(namespace, claim, runtime))
            }
            Err(error) => {
                drop(place);
                claim.release().await;
                Err(error)
            }
        }
    }

    fn namespaces(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self) -> MutexGuard<'_, usize> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One handle's share of a namespace and its database. Dropped, it is released in the background: also when an open
/// ends after its caller has gone.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) namespace: Arc<Namespace>,
    claim: Option<NamespaceClaim>,
    runtime: Runtime,
}

impl Claim {
    fn new(namespace: Arc<Namespace>, claim: NamespaceClaim, runtime: &Runtime) -> Self {
        Self { namespace, claim: Some(claim), runtime: runtime.clone() }
    }

    /// Gives the claim up; with the last one, closes the namespace and then the database.
    pub(crate) async fn release(mut self) {
        if let Some(claim) = self.claim.take() {
            claim.release().await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.runtime.spawn(claim.release());
        }
    }
}

/// A counted reference to a namespace of a database.
#[derive(Debug)]
struct NamespaceClaim {
    database: DatabaseClaim,
    name: String,
    given_up: bool,
}

impl NamespaceClaim {
    fn take(database: DatabaseClaim, name: String) -> Self {
        database.namespaces().entry(name.clone()).or_default().claims += 1;
        Self { database, name, given_up: false }
    }

    fn slot(&self) -> Arc<tokio::sync::Mutex<Option<Arc<Namespace>>>> {
        Arc::clone(&self.database.namespaces().entry(self.name.clone()).or_default().namespace)
    }

    /// Gives the claim up; with the last one, closes the namespace, and with the last of the database the database.
    async fn release(mut self) {
        let slot = self.slot();
        let mut place = slot.lock().await;
        let last = if self.count_down() { place.take() } else { None };
        if let Some(namespace) = last {
            // Under the lock, so that opening the same namespace waits until this one is closed.
            namespace.close().await;
        }
        // Before the lock is released: whoever opens the namespace next may soon be closing it again, and needs the slot.
        self.remove_unclaimed();
        drop(place);
        self.database.release().await;
    }

    /// Gives the claim up. Returns whether it was the last.
    fn count_down(&mut self) -> bool {
        if std::mem::replace(&mut self.given_up, true) {
            return false;
        }
        let mut namespaces = self.database.namespaces();
        namespaces.get_mut(&self.name).is_some_and(|slot| {
            slot.claims -= 1;
            slot.claims == 0
        })
    }

    fn remove_unclaimed(&self) {
        let mut namespaces = self.database.namespaces();
        if namespaces.get(&self.name).is_some_and(|slot| slot.claims == 0) {
            namespaces.remove(&self.name);
        }
    }
}

/// When the runtime ends during an open or a release, nothing can be closed any more.
impl Drop for NamespaceClaim {
    fn drop(&mut self) {
        if self.count_down() {
            self.remove_unclaimed();
        }
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
            Arc::new(Database { key, backend: OnceCell::new(), namespaces: Mutex::default(), claims: Mutex::new(0) })
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
    async fn release(&mut self) {
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

impl Drop for DatabaseClaim {
    fn drop(&mut self) {
        self.count_down();
    }
}

type OpenDatabases = HashMap<DatabaseKey, Arc<Database>>;

/// The databases that this process has open. A forked child starts with none: the connections belong to the parent.
fn registry() -> MutexGuard<'static, OpenDatabases> {
    static OPEN: PerProcess<Mutex<OpenDatabases>> = PerProcess::new();
    OPEN.get().lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_claim_that_was_given_up_leaves_the_slot_to_those_who_close_the_namespace() {
        let first = DatabaseClaim::take(None);
        *first.claims() += 1;
        let second = DatabaseClaim { database: Arc::clone(&first.database), given_up: false };
        let mut given_up = NamespaceClaim::take(first, "n".to_owned());
        given_up.count_down();
        let mut closing = NamespaceClaim::take(second, "n".to_owned());
        let slot = closing.slot();
        let _place = slot.lock().await;
        closing.count_down();
        drop(given_up);
        assert!(Arc::ptr_eq(&slot, &closing.slot()), "who opens it now waits for the close");
    }
}
