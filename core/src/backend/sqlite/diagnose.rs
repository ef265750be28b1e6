//! Reads the state of the file for [`crate::EventStore::diagnose`].

use sqlx::Row;
use tokio::time::Instant;

use super::Sqlite;
use super::error::Failure;
use crate::diagnosis::Diagnosis;
use crate::error::Result;
use crate::options::Durability;

const ASK: &str = "SELECT sqlite_version(), (SELECT format FROM streamkeep_namespaces WHERE name = ?), \
                   (SELECT journal_mode FROM pragma_journal_mode), (SELECT synchronous FROM pragma_synchronous)";

impl Sqlite {
    pub(super) async fn read_diagnosis(&self, deadline: Instant) -> Result<Diagnosis> {
        let head = self.last_position(deadline).await?;
        let namespace = &self.sql.namespace;
        let read = self.read(deadline, |mut lease| async move {
            let rows = sqlx::query(ASK).bind(namespace).fetch_all(&mut lease.connection).await.map_err(Failure::from);
            lease.settle(rows)
        });
        let rows = read.await?;
        let row = rows.first().ok_or_else(Failure::bug)?;
        let text = |place: usize| row.try_get::<String, _>(place).map_err(Failure::from);
        let number = |place: usize| row.try_get::<i64, _>(place).map_err(Failure::from);
        let (journal, synchronous) = (text(2)?, number(3)?);
        // 2 is FULL, 3 is EXTRA.
        let full = journal == "wal" && synchronous >= 2;
        Ok(Diagnosis {
            server: format!("SQLite {}", text(0)?),
            durability: if full { Durability::Full } else { Durability::Relaxed },
            settings: vec![("journal_mode".to_owned(), journal), ("synchronous".to_owned(), synchronous.to_string())],
            format: u64::try_from(number(1)?).unwrap_or_default(),
            head,
            horizon: head,
            blockers: Vec::new(),
            last_loss: None,
        })
    }
}
