//! Connections that are cut around the commit, and servers that fall silent: every append gets a true answer, and
//! nothing is written twice.

use std::time::{Duration, Instant};

use fastrand::Rng;
use futures::future::try_join_all;
use libtest_mimic::{Failed, Trial};
use streamkeep::{
    AppendOptions, ErrorKind, Event, EventStore, ExpectedVersion, ImportEvent, OpenOptions, Outcome, ReadPageOptions,
};
use streamkeep_tests::effort::effort;
use streamkeep_tests::harness::Backend;

use super::cancel::{conclude, in_time};
use super::checker::check_history;
use super::ground::{self, Ground, case};
use super::history::{Answer, Attempt, Expected, History};
use super::proxy::{Cut, Proxy};
use super::storm::read_log;
use super::writers::{Draft, events, refusal};

/// The backends that are reached through a connection.
const SERVERS: [Backend; 2] = [Backend::Postgres, Backend::Mongodb];
/// How many cuts a case makes with the usual effort.
const CUTS: u64 = 100;
/// The number of logs that work at the same time: most of a cut's time is spent waiting for a new connection.
const LANES: u64 = 10;
/// The timeout of an append for which the proxy refuses new connections.
const SHORT: Duration = Duration::from_millis(400);
/// Long enough to open a store on a busy machine, and still a short wait.
const LONGER: Duration = Duration::from_secs(3);

pub fn trials() -> Vec<Trial> {
    let cuts = SERVERS.map(|kind| case("cuts::an_append_whose_connection_is_cut_is_answered_correctly", kind, cuts));
    let silence = SERVERS.map(|kind| case("cuts::a_call_to_a_silent_server_ends_at_its_deadline", kind, silence));
    let reads = SERVERS.map(|kind| case("cuts::reads_succeed_after_a_cut", kind, reads));
    let late = SERVERS.map(|kind| case("cuts::a_refusal_waits_until_no_attempt_can_still_commit", kind, late_arrival));
    [cuts, silence, reads, late].into_iter().flatten().collect()
}

/// How the appends that were cut ended.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    by_store: u64,
    refused: u64,
    by_repeating: u64,
    not_applied: u64,
}

struct Case {
    rng: Rng,
    proxy: Proxy,
    /// Through the proxy, with one connection.
    store: EventStore,
    /// Directly to the server.
    direct: EventStore,
    history: History,
    tally: Tally,
}

async fn cuts(ground: Ground) -> Result<(), Failed> {
    let (seed, began) = (ground::seed(), Instant::now());
    let mut tally = Tally::default();
    let cuts = CUTS * u64::from(effort());
    for counts in try_join_all((0..LANES).map(|lane| lane_of_cuts(&ground, lane, cuts / LANES, seed))).await? {
        tally.add(counts);
    }
    let Tally { by_store, refused, by_repeating, not_applied } = tally;
    println!(
        "cuts {}: {cuts} cuts at 5 places, in {LANES} logs: 0 lost, 0 duplicated, 0 answered wrongly; {by_store} done and {refused} refused by the store, {not_applied} not applied, {by_repeating} unknown and resolved by repeating; seed {seed}, {:.1} s",
        ground.kind,
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn lane_of_cuts(ground: &Ground, lane: u64, cuts: u64, seed: u64) -> Result<Tally, Failed> {
    let mut ground = ground.clone();
    ground.url.push_str(&format!("?namespace=lane_{lane}"));
    let (proxy, url) = Proxy::before(ground.kind, &ground.url).await?;
    let store = OpenOptions::new(url).max_connections(1).open().await?;
    let (rng, direct) = (Rng::with_seed(seed ^ lane), ground.open().await?);
    let mut case = Case { rng, proxy, store, direct, history: History::default(), tally: Tally::default() };
    for number in 0..cuts {
        let place = format!("cut {number} of lane {lane}, seed {seed}");
        case.one(number).await.map_err(|wrong| format!("{place}: {}", wrong.message().unwrap_or_default()))?;
        if case.proxy.cuts() != number + 1 {
            return Err(format!("{place} was not made: no append or commit was seen").into());
        }
    }
    case.store.close().await?;
    case.direct.close().await?;
    let verdict = check_history(&case.history, &read_log(&ground).await?);
    if verdict.is_clean() { Ok(case.tally) } else { Err(format!("lane {lane} of cuts, seed {seed}: {verdict}").into()) }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.by_store += other.by_store;
        self.refused += other.refused;
        self.by_repeating += other.by_repeating;
        self.not_applied += other.not_applied;
    }
}

impl Case {
    async fn one(&mut self, number: u64) -> Result<(), Failed> {
        let cut = match number % 5 {
            0 => Cut::BeforeStatement,
            1 => Cut::BeforeCommit,
            2 => Cut::AfterStatement,
            3 => Cut::BeforeReply,
            _ => Cut::InsideReply(self.rng.usize(..1_000)),
        };
        // One in five gets no new connection in time, and one in five has a rival that wants the same version.
        let (cut_off, rival) = (self.rng.u8(..5) == 0, self.rng.u8(..5) == 0);
        // Makes sure that there is a connection to cut.
        self.store.head().await?;
        self.proxy.arm(cut);
        self.proxy.refuse(cut_off);
        let attempt = if self.rng.u8(..6) == 0 {
            self.import(number, cut_off).await?
        } else {
            self.append(number, cut_off, rival).await?
        };
        self.proxy.refuse(false);
        match attempt.answer {
            Answer::Done { .. } => self.tally.by_store += 1,
            Answer::Refused { actual: Some(_) } => self.tally.refused += 1,
            Answer::Refused { actual: None } => self.tally.not_applied += 1,
            Answer::Unknown => {}
        }
        self.history.attempts.push(attempt);
        Ok(())
    }

    async fn append(&mut self, number: u64, cut_off: bool, rival: bool) -> Result<Attempt, Failed> {
        let stream = format!("s-{}", self.rng.u8(..6));
        let version = self.version(&stream);
        let expected = [Expected::Any, Expected::Exact(version), Expected::Exact(version), Expected::NoStream]
            [self.rng.usize(..4)];
        let stream = if expected == Expected::NoStream { format!("new-{number}") } else { stream };
        let draft = Draft { stream: stream.clone(), expected, events: events(&mut self.rng, 3) };
        let options = AppendOptions { expected: ExpectedVersion::from(expected), timeout: cut_off.then_some(SHORT) };
        let other = Draft { stream, expected, events: events(&mut self.rng, 2) };
        let (result, other) = tokio::join!(
            in_time("an append that was cut", self.store.append(&draft.stream, draft.events.clone(), options)),
            async { if rival { Some(other.append(&self.direct).await) } else { None } }
        );
        if let Some((attempt, _, wrong)) = other {
            self.history.attempts.push(attempt);
            self.history.wrong.extend(wrong);
        }
        // A store that is cut off from a MongoDB cannot end its transaction, which blocks every other writer until the
        // proxy accepts connections again.
        self.proxy.refuse(false);
        let attempt = match result? {
            Ok(done) => draft.attempt(Answer::Done { version: done.version, position: Some(done.position) }),
            Err(error) => {
                let (answer, wrong) = refusal(&error, expected);
                self.history.wrong.extend(wrong);
                draft.attempt(answer)
            }
        };
        if attempt.answer == Answer::Unknown {
            let (again, _, wrong) = in_time("the same append again", draft.append(&self.direct)).await?;
            self.history.wrong.extend(wrong);
            self.tally.by_repeating += 1;
            self.history.attempts.push(again);
        }
        Ok(attempt)
    }

    async fn import(&mut self, number: u64, cut_off: bool) -> Result<Attempt, Failed> {
        let draft = Draft {
            stream: format!("import-{number}"),
            expected: Expected::NoStream,
            events: events(&mut self.rng, 10),
        };
        let import = |event: &Event| ImportEvent {
            stream: draft.stream.clone(),
            version: None,
            recorded_at: None,
            event: event.clone(),
        };
        let imports: Vec<ImportEvent> = draft.events.iter().map(import).collect();
        let version = draft.events.len() as u64;
        let call = tokio::spawn({
            let (store, imports) = (self.store.clone(), imports.clone());
            async move { store.import_events(imports).await }
        });
        if cut_off {
            // An import has the store's own deadline, so the proxy accepts connections again before that.
            tokio::time::sleep(SHORT).await;
            self.proxy.refuse(false);
        }
        match in_time("an import that was cut", call).await?? {
            Ok(result) if result.imported + result.passed_over == version => {
                Ok(draft.attempt(Answer::Done { version, position: Some(result.position) }))
            }
            result => Err(format!("an import of {version} events that was cut returned {result:?}").into()),
        }
    }

    fn version(&self, stream: &str) -> u64 {
        let versions =
            self.history.attempts.iter().filter(|attempt| attempt.stream == stream).filter_map(|attempt| match attempt
                .answer
            {
                Answer::Done { version, .. } => Some(version),
                _ => None,
            });
        versions.max().unwrap_or_default()
    }
}

/// On a silent server every call ends at its deadline with an error that says what is known, and its connection is not
/// used again.
async fn silence(ground: Ground) -> Result<(), Failed> {
    let (proxy, url) = Proxy::before(ground.kind, &ground.url).await?;
    let store = OpenOptions::new(url.as_str()).max_connections(1).open().await?;
    // An import takes its deadline from its store.
    let impatient = OpenOptions::new(url).timeout(LONGER).open().await?;
    let mut history = History::default();
    let draft = |stream: String| Draft {
        stream,
        expected: Expected::NoStream,
        events: vec![Event::json_text("Happened", "{}")],
    };
    for round in 0..3 {
        let first = draft(format!("first-{round}"));
        history.attempts.push(first.append(&store).await.0);
        proxy.fall_silent();
        let (late, began) = (draft(format!("late-{round}")), Instant::now());
        let options = AppendOptions { expected: ExpectedVersion::NoStream, timeout: Some(SHORT) };
        let result =
            in_time("an append on a silent server", store.append(&late.stream, late.events.clone(), options)).await?;
        let error = result.err().ok_or("an append to a silent server fails")?;
        if !matches!(error.kind(), ErrorKind::Unavailable)
            // On MongoDB nothing is written before the commit is sent.
            || (error.outcome() != Outcome::Unknown && ground.kind != Backend::Mongodb)
            || error.ids() != [late.events[0].id]
        {
            return Err(format!("on a silent server an append returned {error:?}").into());
        }
        if began.elapsed() > SHORT * 5 {
            return Err(format!("a deadline of {SHORT:?} ended after {:?}", began.elapsed()).into());
        }
        history.attempts.push(late.attempt(Answer::Unknown));
        let page = ReadPageOptions { timeout: Some(SHORT), ..ReadPageOptions::default() };
        let read = in_time("a read on a silent server", store.read_page(page)).await?;
        if !read.is_err_and(|error| matches!(error.kind(), ErrorKind::Unavailable)) {
            return Err("on a silent server a read did not fail with 'unavailable'".into());
        }
        if round == 0 {
            history.attempts.push(silent_import(&impatient, &draft("imported".to_owned())).await?);
        }
        proxy.end_silence();
        for again in [late, draft(format!("next-{round}"))] {
            let (attempt, _, wrong) = in_time("the next append", again.append(&store)).await?;
            history.attempts.push(attempt);
            history.wrong.extend(wrong);
        }
        if let Some(attempt) =
            history.attempts.iter().rev().take(2).find(|attempt| !matches!(attempt.answer, Answer::Done { .. }))
        {
            return Err(format!("on the restored server an append returned {:?}", attempt.answer).into());
        }
    }
    impatient.close().await?;
    conclude("a silent server", &ground, &store, &history, 0).await
}

async fn silent_import(store: &EventStore, draft: &Draft) -> Result<Attempt, Failed> {
    let import =
        ImportEvent { stream: draft.stream.clone(), version: None, recorded_at: None, event: draft.events[0].clone() };
    let result = in_time("an import on a silent server", store.import_events([import])).await?;
    if !result.is_err_and(|error| matches!(error.kind(), ErrorKind::Unavailable) && error.outcome() == Outcome::Unknown)
    {
        return Err("an import on a silent server did not return 'unknown'".into());
    }
    Ok(draft.attempt(Answer::Unknown))
}

/// A read that fails is retried on a new connection and gives the same events.
async fn reads(ground: Ground) -> Result<(), Failed> {
    let (proxy, url) = Proxy::before(ground.kind, &ground.url).await?;
    let store = OpenOptions::new(url).max_connections(1).open().await?;
    let mut history = History::default();
    let draft = Draft {
        stream: "s-1".into(),
        expected: Expected::NoStream,
        events: (0..50).map(|_| Event::json_text("Happened", "{}")).collect(),
    };
    history.attempts.push(draft.append(&store).await.0);
    for _ in 0..5 {
        // Drops every connection, once by silence and once for good.
        proxy.fall_silent();
        let silent = store.read_page(ReadPageOptions { timeout: Some(SHORT), ..ReadPageOptions::default() }).await;
        proxy.end_silence();
        let page = in_time("a read after a cut", store.read_page(ReadPageOptions::default())).await??;
        if silent.is_ok() || page.events.len() != draft.events.len() {
            return Err(format!("reads around a cut gave {silent:?} and {} events", page.events.len()).into());
        }
    }
    conclude("reads around cuts", &ground, &store, &history, 0).await
}

/// The first attempt is on its way to the server when the store finds, on a new connection, that the expected
/// version does not hold. The store may refuse only once the first attempt can no longer commit. Otherwise another
/// writer makes it hold, the first attempt arrives, and a refused append is in the log.
async fn late_arrival(ground: Ground) -> Result<(), Failed> {
    let (proxy, url) = Proxy::before(ground.kind, &ground.url).await?;
    let (store, direct) = (OpenOptions::new(url).max_connections(1).open().await?, ground.open().await?);
    let mut history = History::default();
    for round in 0..3 {
        let draft = |expected| Draft {
            stream: format!("s-{round}"),
            expected,
            events: vec![Event::json_text("Happened", "{}")],
        };
        proxy.arm(Cut::Delayed);
        let (attempt, _, wrong) =
            in_time("an append whose first attempt is delayed", draft(Expected::Exists).append(&store)).await?;
        history.wrong.extend(wrong);
        if attempt.answer != (Answer::Refused { actual: Some(0) }) {
            return Err(format!(
                "an append that expects a stream, to one that does not exist, returned {:?}",
                attempt.answer
            )
            .into());
        }
        history.attempts.push(attempt);
        history.attempts.push(draft(Expected::NoStream).append(&direct).await.0);
        in_time("the delayed statement", proxy.deliver()).await?;
    }
    direct.close().await?;
    conclude("a late arrival", &ground, &store, &history, 0).await
}
