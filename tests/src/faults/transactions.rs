//! Writers in their own transactions on Postgres, which pause, roll back, write to other tables first or hold a hot
//! stream, and an open transaction in another database.

use std::time::Duration;

use fastrand::Rng;
use futures::future::join_all;
use libtest_mimic::Failed;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use streamkeep::{EventStore, ExpectedVersion};
use streamkeep_tests::harness::Backend;
use tokio_util::sync::CancellationToken;

use super::ground::{self, Ground, command};
use super::history::{Answer, Attempt, Expected, History};
use super::writers::{Draft, events, refusal};

type Transaction<'c> = sqlx::Transaction<'c, sqlx::Postgres>;

/// Runs this many writers, and the transaction in the other database, until the storm is over.
pub async fn hold(ground: Ground, seed: u64, holders: u64, over: CancellationToken) -> Result<History, Failed> {
    let mut history = History::default();
    if holders == 0 {
        return Ok(history);
    }
    command(&ground.url, "create table if not exists elsewhere (n bigint)".to_owned()).await?;
    let (unrelated, store) = (Unrelated::begin(&ground).await?, ground.open().await?);
    let holder = |number: u64| Holder {
        store: store.clone(),
        url: ground.url.clone(),
        rng: Rng::with_seed(seed ^ (1_000 + number)),
        number,
        history: History::default(),
    };
    let holders = (0..holders).map(|number| tokio::spawn(holder(number).run(over.clone())));
    for part in join_all(holders).await {
        history.add(part??);
    }
    unrelated.end().await?;
    store.close().await?;
    Ok(history)
}

/// A transaction that has written and stays open in another database of the server: no reader of ours waits for it.
struct Unrelated {
    connection: PgConnection,
    name: String,
}

impl Unrelated {
    async fn begin(ground: &Ground) -> Result<Self, Failed> {
        let name = format!("{}_other", ground.database.as_deref().unwrap_or_default());
        command(&ground::server(Backend::Postgres), format!("create database {name}")).await?;
        let mut connection =
            PgConnection::connect(&ground::other_database(&ground::server(Backend::Postgres), &name)?).await?;
        sqlx::raw_sql("create table written (n bigint); begin; insert into written values (1)")
            .execute(&mut connection)
            .await?;
        Ok(Self { connection, name })
    }

    async fn end(mut self) -> Result<(), Failed> {
        let open: i64 = sqlx::query_scalar("select count(*) from written").fetch_one(&mut self.connection).await?;
        self.connection.close().await?;
        command(&ground::server(Backend::Postgres), format!("drop database {} with (force)", self.name)).await?;
        if open == 1 { Ok(()) } else { Err("the transaction in the other database did not stay open".into()) }
    }
}

struct Holder {
    store: EventStore,
    url: String,
    rng: Rng,
    number: u64,
    history: History,
}

impl Holder {
    async fn run(mut self, over: CancellationToken) -> Result<History, Failed> {
        let mut connection = PgConnection::connect(&self.url).await?;
        while !over.is_cancelled() {
            let mut transaction = connection.begin().await?;
            if self.rng.u8(..4) == 0 {
                // The transaction gets its number long before it appends.
                sqlx::query(AssertSqlSafe(format!("insert into elsewhere values ({})", self.number)))
                    .execute(&mut *transaction)
                    .await?;
                self.pause().await;
            }
            let mut attempts = Vec::new();
            let usable = self.work(&mut transaction, &mut attempts).await?;
            if usable && self.rng.u8(..100) >= 15 {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
                attempts.iter_mut().for_each(|attempt: &mut Attempt| attempt.answer = Answer::Refused { actual: None });
            }
            self.history.attempts.extend(attempts);
        }
        connection.close().await?;
        Ok(self.history)
    }

    /// Does one to three appends, some behind a savepoint that is rolled back. Returns whether the transaction can
    /// commit.
    async fn work(&mut self, transaction: &mut Transaction<'_>, attempts: &mut Vec<Attempt>) -> Result<bool, Failed> {
        for _ in 0..self.rng.u8(1..=3) {
            let draft = self.draft();
            let usable = if self.rng.u8(..5) == 0 {
                let mut savepoint = transaction.begin().await?;
                let usable = self.append(&mut savepoint, &draft, attempts).await;
                savepoint.rollback().await?;
                if let Some(attempt) = attempts.last_mut() {
                    attempt.answer = Answer::Refused { actual: None };
                }
                usable
            } else {
                self.append(transaction, &draft, attempts).await
            };
            if !usable {
                return Ok(false);
            }
            self.pause().await;
        }
        Ok(true)
    }

    /// One draft in three is for a hot stream, for which every other writer then waits. The order of streams is random,
    /// so there are deadlocks too.
    fn draft(&mut self) -> Draft {
        let stream = if self.rng.u8(..3) == 0 {
            format!("hot-{}", self.rng.u8(..3))
        } else {
            format!("held-{}-{}", self.number, self.rng.u8(..3))
        };
        let expected = if self.rng.u8(..4) == 0 { Expected::Exists } else { Expected::Any };
        Draft { stream, expected, events: events(&mut self.rng, 3) }
    }

    async fn append(&mut self, transaction: &mut Transaction<'_>, draft: &Draft, attempts: &mut Vec<Attempt>) -> bool {
        let result = self
            .store
            .append_in(transaction, &draft.stream, draft.events.clone(), ExpectedVersion::from(draft.expected))
            .await;
        let (answer, usable) = match result {
            Ok(versions) => {
                (Answer::Done { version: versions.last().copied().unwrap_or_default(), position: None }, true)
            }
            Err(error) => {
                let (answer, wrong) = refusal(&error, draft.expected);
                self.history.wrong.extend(wrong);
                // A conflict leaves the transaction usable; any other error ends it.
                (answer, matches!(answer, Answer::Refused { actual: Some(_) }))
            }
        };
        attempts.push(draft.attempt(answer));
        usable
    }

    async fn pause(&mut self) {
        if self.rng.bool() {
            tokio::time::sleep(Duration::from_micros(self.rng.u64(..5_000))).await;
        }
    }
}
