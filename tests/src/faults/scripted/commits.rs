//! The labels of an error decide how a transaction goes on: the commit is sent again, or the whole transaction runs
//! again.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Document, doc};
use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use streamkeep::{ErrorKind, Outcome, ReadPageOptions};
use streamkeep_tests::harness::Backend;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::history::{Expected, History};
use super::super::proxy::{Action, Cut, refusal};
use super::{Proxied, done, draft, expecting, place};

/// How long the server refuses.
const WINDOW: Duration = Duration::from_secs(1);
/// More attempts than this in that time would be a loop without pauses.
const MOST: usize = 40;
/// The driver sends a command once more by itself, so one retry of the store is the third time.
const TIMES: u64 = 3;

pub fn trials() -> Vec<Trial> {
    vec![
        case("commits::a_commit_that_arrives_late_changes_nothing", Backend::Mongodb, late),
        case("commits::a_commit_with_an_unknown_result_is_sent_again", Backend::Mongodb, unknown),
        case("commits::a_transaction_whose_commit_was_not_done_runs_again", Backend::Mongodb, unknown_and_not_done),
        case(
            "commits::an_append_is_unknown_until_a_committed_look_for_its_ids",
            Backend::Mongodb,
            unknown_until_looked_up,
        ),
        case("commits::a_transient_error_runs_the_transaction_again", Backend::Mongodb, transient),
        case("commits::a_refusal_of_every_attempt_ends_at_the_deadline", Backend::Mongodb, refused_every_time),
    ]
}

/// How servers say that a commit's result is unknown: they step down, stop, or cannot reach the others in time.
fn unknowns() -> Vec<Document> {
    let labels = vec![UNKNOWN_TRANSACTION_COMMIT_RESULT];
    let errors = [50, 64, 91, 189, 10_107].map(|code| refusal(code, &labels));
    let concerns =
        [64, 91, 189].map(|code| doc! { "ok": 1.0, "writeConcernError": { "code": code, "errmsg": "waiting for the other members" }, "errorLabels": &labels });
    errors.into_iter().chain(concerns).collect()
}

/// The commit was done. The store sends it again and does not run the body again, which would find its own ids.
async fn unknown(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, script, mut history) = (proxied.open().await?, proxied.proxy.script(), History::default());
    for (round, answer) in unknowns().into_iter().enumerate() {
        script.take();
        script.order("commitTransaction", "", TIMES, Action::replace(answer.clone()));
        done(&store, &draft(&format!("s-{round}"), Expected::NoStream), &mut history)
            .await
            .map_err(|wrong| after_answer(&answer, &wrong))?;
        let (inserts, commits) = (script.count("insert"), script.count("commitTransaction"));
        if inserts != 1 || commits != TIMES as usize + 1 {
            return Err(format!(
                "a commit answered {answer} was sent {commits} times, and the body was sent {inserts} times"
            )
            .into());
        }
    }
    proxied.conclude("unknown commits", &store, &history).await
}

/// The commit was not done, and the server says so when the store sends it again.
async fn unknown_and_not_done(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, script, mut history) = (proxied.open().await?, proxied.proxy.script(), History::default());
    for (round, answer) in unknowns().into_iter().enumerate() {
        script.order("commitTransaction", "", TIMES, Action::Abort(answer.clone()));
        script.order("commitTransaction", "", 1, Action::Abort(refusal(251, &[TRANSIENT_TRANSACTION_ERROR])));
        done(&store, &draft(&format!("s-{round}"), Expected::NoStream), &mut history)
            .await
            .map_err(|wrong| after_answer(&answer, &wrong))?;
        if !script.is_done() {
            return Err(format!("a commit answered {answer} was not sent again until its result was known").into());
        }
    }
    proxied.conclude("unknown commits that were not done", &store, &history).await
}

/// The commit was done and its answer was lost. Neither the server's later answers about the transaction nor later
/// attempts that are refused before they look for the ids prove that nothing was written.
async fn unknown_until_looked_up(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, script, mut history) = (proxied.open().await?, proxied.proxy.script(), History::default());
    for (round, code) in [251, 112, 24].into_iter().enumerate() {
        let draft = draft(&format!("s-{round}"), Expected::NoStream);
        script.order("commitTransaction", "", 1, Action::Cut(Cut::BeforeReply));
        script.order("commitTransaction", "", 1, Action::Answer(refusal(code, &[TRANSIENT_TRANSACTION_ERROR])));
        let run_again = refusal(112, &[TRANSIENT_TRANSACTION_ERROR]);
        script.order("update", ".heads", 1, Action::edit(|_| {}));
        script.order("update", ".heads", u64::MAX, Action::Abort(run_again));
        let (events, options) = (draft.events.clone(), expecting(&draft, WINDOW));
        let result = in_time("an append with an unknown outcome", store.append(&draft.stream, events, options)).await?;
        let error = result.err().ok_or("an append whose commit got no answer fails")?;
        if error.outcome() != Outcome::Unknown {
            return Err(format!(
                "the answer of a commit was lost, then it was {code}, and the append returned {error:?}"
            )
            .into());
        }
        script.clear();
        let (attempt, repeated, _) = in_time("the repeat", draft.append(&store)).await?;
        if !repeated {
            return Err(format!(
                "the answer of a commit was lost, then it was {code}; the repeat returned {:?}",
                attempt.answer
            )
            .into());
        }
        history.attempts.push(attempt);
    }
    proxied.conclude("unknown commits after later attempts", &store, &history).await
}

fn after_answer(answer: &Document, wrong: &Failed) -> Failed {
    format!("a commit was answered {answer}: {}", wrong.message().unwrap_or_default()).into()
}

/// Another writer was first, the transaction is gone, or the server or its snapshot ends.
async fn transient(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, script, mut history) = (proxied.open().await?, proxied.proxy.script(), History::default());
    for command in ["update", "insert", "commitTransaction"] {
        for code in [112, 246, 251, 91, 189] {
            script.order(command, place(command), 2, Action::Abort(refusal(code, &[TRANSIENT_TRANSACTION_ERROR])));
            let draft = draft(&format!("{command}-{code}"), Expected::NoStream);
            done(&store, &draft, &mut history)
                .await
                .map_err(|wrong| format!("{command} was answered {code}: {}", wrong.message().unwrap_or_default()))?;
            if !script.is_done() {
                return Err(format!("{command} was answered {code} and the transaction did not run again").into());
            }
        }
    }
    proxied.conclude("transient refusals", &store, &history).await
}

async fn refused_every_time(ground: Ground) -> Result<(), Failed> {
    let cases = ["update", "insert", "commitTransaction"].map(|command| refused_until_the_deadline(&ground, command));
    try_join_all(cases).await.map(drop)
}

/// The store retries with pauses until the deadline. The error says that nothing was written if no commit was sent.
async fn refused_until_the_deadline(ground: &Ground, command: &'static str) -> Result<(), Failed> {
    let proxied = Proxied::new(ground).await?;
    let store = proxied.options().namespace(command.to_ascii_lowercase()).open().await?;
    let script = proxied.proxy.script();
    let (mut history, draft) = (History::default(), draft("s-1", Expected::NoStream));
    done(&store, &super::draft("s-0", Expected::NoStream), &mut history).await?;
    script.take();
    script.order(command, place(command), u64::MAX, Action::Abort(refusal(112, &[TRANSIENT_TRANSACTION_ERROR])));
    let began = Instant::now();
    let result =
        in_time("a refused append", store.append(&draft.stream, draft.events.clone(), expecting(&draft, WINDOW)))
            .await?;
    let (took, tries) = (began.elapsed(), script.count(command));
    let error = result.err().ok_or("an append that is always refused fails")?;
    // No commit was sent, so nothing can be written.
    if command != "commitTransaction" && error.outcome() != Outcome::NotApplied {
        return Err(format!("{command} was always refused, and the append returned {error:?}").into());
    }
    if !matches!(error.kind(), ErrorKind::Unavailable) || took > WINDOW * 2 {
        return Err(format!("{command} was always refused, and the append ended after {took:?}: {error:?}").into());
    }
    if !(3..=MOST).contains(&tries) {
        return Err(format!("{command} was tried {tries} times in {took:?}").into());
    }
    script.clear();
    let page = store.read_page(ReadPageOptions::default()).await?;
    if page.events.len() != 2 {
        return Err(format!("an append was always refused, and the log holds {} events", page.events.len()).into());
    }
    done(&store, &draft, &mut history).await?;
    println!("commits: {command} refused for {took:?}: {tries} attempts, then {:?}", error.outcome());
    Ok(store.close().await?)
}

/// A command whose client is gone arrives after the end of its transaction.
async fn late(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, direct, script, mut history) =
        (proxied.open().await?, ground.open().await?, proxied.proxy.script(), History::default());
    for (round, command) in ["commitTransaction", "insert", "commitTransaction", "insert"].into_iter().enumerate() {
        let stream = format!("s-{round}");
        script.order(command, "", 1, Action::Cut(Cut::Delayed));
        done(&store, &draft(&stream, Expected::NoStream), &mut history).await?;
        done(&direct, &draft(&stream, Expected::Exact(2)), &mut history).await?;
        in_time("the delayed command", proxied.proxy.deliver()).await?;
        done(&direct, &draft(&stream, Expected::Exact(4)), &mut history).await?;
    }
    direct.close().await?;
    proxied.conclude("late commits", &store, &history).await
}
