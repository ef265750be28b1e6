//! Writers that use the public API: every expected version, shared and own streams, repeats, races, imports and
//! cancelled calls.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures::TryStreamExt;
use futures::future::join_all;
use libtest_mimic::Failed;
use serde::{Deserialize, Serialize};
use streamkeep::{ErrorKind, Event, EventStore, ExpectedVersion, ImportEvent, OpenOptions, Outcome};

use super::history::{Answer, Attempt, Expected, History};

/// Writers that share a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriterGroup {
    pub url: String,
    pub seed: u64,
    /// The number of the first writer; its own streams have it in their names.
    pub number: u64,
    pub writers: u64,
    /// They stop after this many events together.
    pub events: u64,
}

/// What the writers of a process share: the events that are left, and the last known versions.
#[derive(Debug)]
pub struct Progress {
    left: AtomicI64,
    heads: Mutex<HashMap<String, u64>>,
}

impl Progress {
    pub fn new(events: u64) -> Self {
        Self { left: AtomicI64::new(i64::try_from(events).unwrap_or(i64::MAX)), heads: Mutex::default() }
    }

    pub fn has_events_left(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// A version that the stream had a moment ago, as a caller would guess it.
    pub fn guess(&self, stream: &str) -> u64 {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(stream).copied().unwrap_or_default()
    }

    /// `again`: the events are counted already.
    pub fn note(&self, attempt: &Attempt, again: bool) {
        let known = match attempt.answer {
            Answer::Done { version, .. } => {
                let counted = if again { 0 } else { attempt.ids.len() };
                self.left.fetch_sub(i64::try_from(counted).unwrap_or(i64::MAX), Ordering::Relaxed);
                version
            }
            Answer::Refused { actual } => actual.unwrap_or_default(),
            Answer::Unknown => 0,
        };
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let head = heads.entry(attempt.stream.clone()).or_default();
        *head = known.max(*head);
    }
}

impl WriterGroup {
    pub async fn run(self) -> Result<History, Failed> {
        let store = OpenOptions::new(&self.url).max_connections(4).open().await?;
        let progress = Arc::new(Progress::new(self.events));
        let writer = |number| Writer {
            store: store.clone(),
            progress: Arc::clone(&progress),
            rng: Rng::with_seed(self.seed ^ number),
            number,
            imported: 0,
            last: None,
            history: History::default(),
        };
        let writers = (self.number..self.number + self.writers).map(|number| tokio::spawn(writer(number).run()));
        let mut history = History::default();
        for part in join_all(writers).await {
            history.add(part?);
        }
        store.close().await?;
        Ok(history)
    }
}

/// An append that can be sent again.
#[derive(Clone, Debug)]
pub struct Draft {
    pub stream: String,
    pub expected: Expected,
    pub events: Vec<Event>,
}

impl Draft {
    pub fn attempt(&self, answer: Answer) -> Attempt {
        Attempt {
            stream: self.stream.clone(),
            expected: self.expected,
            ids: self.events.iter().map(|event| event.id).collect(),
            answer,
        }
    }

    /// Appends. Returns the attempt, whether it was a repeat, and what is wrong about the answer itself.
    pub async fn append(&self, store: &EventStore) -> (Attempt, bool, Option<String>) {
        let result = store.append(&self.stream, self.events.clone(), ExpectedVersion::from(self.expected)).await;
        let (answer, repeated, wrong) = match result {
            Ok(done) => (Answer::Done { version: done.version, position: Some(done.position) }, done.repeated, None),
            Err(error) => {
                let (answer, wrong) = refusal(&error, self.expected);
                (answer, false, wrong)
            }
        };
        (self.attempt(answer), repeated, wrong)
    }
}

/// What an error says about the append, and what is wrong about the error itself.
pub fn refusal(error: &streamkeep::Error, expected: Expected) -> (Answer, Option<String>) {
    match error.kind() {
        ErrorKind::Conflict { .. } if expected == Expected::Any => {
            (Answer::Refused { actual: None }, Some(format!("an append with 'any' conflicts: {error:?}")))
        }
        ErrorKind::Conflict { actual, .. } => (Answer::Refused { actual: Some(*actual) }, None),
        ErrorKind::Unavailable if error.outcome() == Outcome::Unknown => (Answer::Unknown, None),
        ErrorKind::Unavailable => (Answer::Refused { actual: None }, None),
        _ => (Answer::Unknown, Some(format!("an append returned {error:?}"))),
    }
}

/// Up to `most` events, of which one in a hundred is large and one in ten has tags.
pub fn events(rng: &mut Rng, most: usize) -> Vec<Event> {
    let event = |rng: &mut Rng| {
        let padding = "x".repeat(if rng.u8(..100) == 0 { 8_000 } else { rng.usize(..40) });
        let mut event = Event::json_text("Happened", format!(r#"{{"n":{},"padding":"{padding}"}}"#, rng.u64(..)));
        if rng.u8(..10) == 0 {
            event.tags = vec!["tagged".into(), format!("number:{}", rng.u8(..))];
        }
        event
    };
    (0..rng.usize(1..=most)).map(|_| event(rng)).collect()
}

struct Writer {
    store: EventStore,
    progress: Arc<Progress>,
    rng: Rng,
    number: u64,
    /// The version of its import stream.
    imported: u64,
    /// The last acknowledged append.
    last: Option<Draft>,
    history: History,
}

impl Writer {
    async fn run(mut self) -> History {
        while self.progress.has_events_left() {
            match self.rng.u8(..100) {
                0..=43 => self.one(Expected::Any).await,
                44..=67 => self.exact().await,
                68..=74 => self.one(Expected::NoStream).await,
                75..=81 => self.one(Expected::Exists).await,
                82..=86 => self.several().await,
                87..=89 => self.equal_appends().await,
                90..=93 => self.again().await,
                94..=96 => self.import().await,
                _ => self.cancelled().await,
            }
        }
        self.history
    }

    /// A draft for a hot stream, a shared one, an own one, or sometimes a new one.
    fn draft(&mut self, expected: Expected) -> Draft {
        let stream = match self.rng.u8(..100) {
            _ if expected == Expected::NoStream && self.rng.bool() => format!("new-{}", streamkeep::new_id()),
            0..30 => format!("hot-{}", self.rng.u8(..3)),
            30..60 => format!("shared-{}", self.rng.u8(..40)),
            _ => format!("own-{}-{}", self.number, self.rng.u8(..5)),
        };
        Draft { stream, expected, events: events(&mut self.rng, 6) }
    }

    fn note(&mut self, attempt: Attempt, again: bool, wrong: Option<String>) {
        self.progress.note(&attempt, again);
        self.history.attempts.push(attempt);
        self.history.wrong.extend(wrong);
    }

    async fn one(&mut self, expected: Expected) {
        let draft = self.draft(expected);
        self.give(draft).await;
    }

    async fn exact(&mut self) {
        let mut draft = self.draft(Expected::Any);
        draft.expected = Expected::Exact(self.progress.guess(&draft.stream) + u64::from(self.rng.u8(..20) == 0));
        self.give(draft).await;
    }

    async fn give(&mut self, draft: Draft) {
        let (attempt, repeated, wrong) = draft.append(&self.store).await;
        if repeated {
            self.history.wrong.push(format!("the first append of some ids returned 'repeated': {attempt:?}"));
        }
        if let Answer::Done { version, .. } = attempt.answer {
            if self.rng.u8(..20) == 0 {
                self.look_back(&attempt, version).await;
            }
            self.last = Some(draft);
        }
        self.note(attempt, repeated, wrong);
    }

    /// A reader sees its own writes at once.
    async fn look_back(&mut self, attempt: &Attempt, version: u64) {
        let seen = self.store.read(&attempt.stream, version..=version).try_next().await;
        let ids = seen.as_ref().map(|event| event.as_ref().map(|event| event.id));
        if ids.as_ref().ok() != Some(&attempt.ids.last().copied()) {
            self.history.wrong.push(format!("a writer did not see its own write: {attempt:?}, but {ids:?}"));
        }
    }

    /// Appends at the same time share a commit, and each gets its own answer.
    async fn several(&mut self) {
        let drafts: Vec<Draft> = (0..self.rng.usize(2..8)).map(|_| self.draft(Expected::Any)).collect();
        let answers = join_all(drafts.iter().map(|draft| draft.append(&self.store))).await;
        for (attempt, repeated, wrong) in answers {
            self.note(attempt, repeated, wrong);
        }
    }

    /// Of two equal appends at the same time, one writes and the other is its repeat; both get the same answer.
    async fn equal_appends(&mut self) {
        let draft = self.draft(Expected::Any);
        let answers = join_all([draft.append(&self.store), draft.append(&self.store)]).await;
        let done = answers.iter().all(|(attempt, ..)| matches!(attempt.answer, Answer::Done { .. }));
        if done && answers.iter().filter(|(_, repeated, _)| *repeated).count() != 1 {
            self.history.wrong.push(format!("of two equal appends not exactly one is the repeat: {answers:?}"));
        }
        for (attempt, repeated, wrong) in answers {
            self.note(attempt, repeated, wrong);
        }
    }

    /// Repeats an acknowledged append, whose expected version no longer holds.
    async fn again(&mut self) {
        let Some(draft) = self.last.clone() else { return };
        let (attempt, repeated, wrong) = draft.append(&self.store).await;
        if !repeated && !matches!(attempt.answer, Answer::Unknown) {
            self.history.wrong.push(format!("a repeat did not return 'repeated': {attempt:?}"));
        }
        self.note(attempt, true, wrong);
    }

    /// Imports into a stream of its own, so that every version is known in advance; half of the imports are repeated.
    async fn import(&mut self) {
        let stream = format!("import-{}", self.number);
        let draft = Draft { stream, expected: Expected::Exact(self.imported), events: events(&mut self.rng, 20) };
        let import = |event: &Event| ImportEvent {
            stream: draft.stream.clone(),
            version: None,
            recorded_at: None,
            event: event.clone(),
        };
        let imports: Vec<ImportEvent> = draft.events.iter().map(import).collect();
        for time in 0..=self.rng.u64(..2) {
            let count = draft.events.len() as u64;
            match self.store.import_events(imports.clone()).await {
                Ok(result)
                    if (result.imported, result.passed_over) == if time == 0 { (count, 0) } else { (0, count) } =>
                {
                    let answer = Answer::Done { version: self.imported + count, position: Some(result.position) };
                    self.note(draft.attempt(answer), time > 0, None);
                }
                result => {
                    self.history.wrong.push(format!("run {time} of an import of {count} events returned {result:?}"));
                    self.note(draft.attempt(Answer::Unknown), true, None);
                }
            }
        }
        self.imported += draft.events.len() as u64;
    }

    /// A caller that is cancelled before it gets its answer.
    async fn cancelled(&mut self) {
        let draft = self.draft(Expected::Any);
        let patience = Duration::from_micros(self.rng.u64(..2_000));
        let attempt = match tokio::time::timeout(patience, draft.append(&self.store)).await {
            Ok((attempt, _, wrong)) => {
                self.history.wrong.extend(wrong);
                attempt
            }
            Err(_) => draft.attempt(Answer::Unknown),
        };
        self.note(attempt, false, None);
    }
}
