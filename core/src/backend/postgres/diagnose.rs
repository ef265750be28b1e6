//! Reads the state of the server for [`crate::EventStore::diagnose`].

use sqlx::Row;
use tokio::time::Instant;

use super::Postgres;
use super::error::Failure;
use super::horizon::floor;
use super::lease::Lease;
use super::names::{REGISTRY, announcements, safe};
use super::row::number;
use crate::diagnosis::{Blocker, Diagnosis};
use crate::error::Result;
use crate::options::Durability;

/// The server settings that decide whether an acknowledged append survives a crash.
const SETTINGS: [&str; 4] = ["fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names"];

impl Postgres {
    pub(super) async fn read_diagnosis(&self, deadline: Instant) -> Result<Diagnosis> {
        let head = self.log_head(deadline).await?;
        let mut lease = self.pool.lease_to_read(deadline).await?;
        let horizon = self.horizon(&mut lease, deadline).await?;
        let blockers = self.blockers(&mut lease, horizon.drawn, deadline).await?;
        let settings = SETTINGS.map(|name| format!("current_setting('{name}')")).join(", ");
        let ask = safe(format!(
            "select version(), (select format::bigint from {REGISTRY}.namespaces where name = $1), {settings}"
        ));
        let rows = lease.fetch(sqlx::query(ask).bind(&self.names.namespace), deadline).await?;
        let row = rows.first().ok_or_else(|| Failure::Unreadable("the server's settings".to_owned()))?;
        let value = |place: usize| row.try_get::<String, _>(place).map_err(Failure::from);
        let mut settings = Vec::new();
        for (place, name) in SETTINGS.iter().enumerate() {
            settings.push(((*name).to_owned(), value(place + 2)?));
        }
        let weak = settings.iter().any(|(_, value)| matches!(value.as_str(), "off" | "local" | "remote_write"));
        Ok(Diagnosis {
            server: value(0)?,
            durability: if weak { Durability::Relaxed } else { Durability::Full },
            settings,
            format: number(row, 1)?,
            head,
            horizon: horizon.until.max(head),
            blockers,
            last_loss: None,
        })
    }

    /// The writers whose announced floor keeps readers below the last drawn position.
    async fn blockers(
        &self,
        lease: &mut Lease,
        drawn: u64,
        deadline: Instant,
    ) -> std::result::Result<Vec<Blocker>, Failure> {
        let announced = announcements(self.class, lease.database());
        let ask = safe(format!(
            "select l.objid::bigint, l.pid::bigint, coalesce(a.application_name, ''), coalesce(a.state, 'prepared'), a.xact_start \
             from pg_locks as l left join pg_stat_activity as a on a.pid = l.pid where {announced} order by a.xact_start"
        ));
        let mut blockers = Vec::new();
        for row in lease.fetch(sqlx::query(ask), deadline).await? {
            let above = floor(drawn, row.try_get(0)?);
            if above < drawn {
                blockers.push(Blocker {
                    process: row.try_get(1)?,
                    application: row.try_get(2)?,
                    state: row.try_get(3)?,
                    since: row.try_get(4)?,
                    above,
                });
            }
        }
        Ok(blockers)
    }
}
