//! Reads the state of the server for [`crate::EventStore::diagnose`].

use mongodb::bson::doc;
use mongodb::options::Acknowledgment;
use tokio::time::Instant;

use super::Mongo;
use super::document::number;
use super::error::Failure;
use super::names::LOG;
use super::work::left;
use crate::diagnosis::Diagnosis;
use crate::error::Result;
use crate::options::Durability;

impl Mongo {
    pub(super) async fn read_diagnosis(&self, deadline: Instant) -> Result<Diagnosis> {
        let head = self.log_head(deadline).await?;
        let names = self.writer.names.clone();
        let found = self.work.run(deadline, |mut session| async move {
            let about = names.database.run_command(doc! { "buildInfo": 1 }).session(&mut session).await?;
            let version = about.get_str("version").unwrap_or("unknown").to_owned();
            let log = names.heads.find_one(doc! { "_id": LOG }).max_time(left(deadline)).session(&mut session).await?;
            let gone = || {
                Failure::Setup(format!("{} is missing: close every store on it, and open it again", names.heads.name()))
            };
            Ok((version, number(&log.ok_or_else(gone)?, "format")?))
        });
        let (version, format) = found.await?;
        let concern = &self.writer.write_concern;
        let majority = concern.w == Some(Acknowledgment::Majority);
        let journal = concern.journal == Some(true);
        Ok(Diagnosis {
            server: format!("MongoDB {version}"),
            durability: if majority && journal { Durability::Full } else { Durability::Relaxed },
            settings: vec![
                ("w".to_owned(), if majority { "majority" } else { "1" }.to_owned()),
                ("j".to_owned(), journal.to_string()),
            ],
            format,
            head,
            horizon: head,
            blockers: Vec::new(),
            last_loss: None,
        })
    }
}
