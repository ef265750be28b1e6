//! The labels of an error decide what happens to a transaction: the commit is sent again, or the whole transaction runs
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
use super::super::history::{Demand, History};
use super::super::proxy::{Cut, Deed, refusal};
use super::{Stage, done, draft, expecting, place};

/// How long a refusal goes on.
const WINDOW: Duration = Duration::from_secs(1);
/// More tries in that time would be a loop without pauses.
const MOST: usize = 40;
/// The driver asks once more by itself.
const TIMES: u64 = 3;

pub fn trials() -> Vec<Trial> {
    vec![
        case("commits::a_commit_that_arrives_late_changes_nothing", Backend::Mongodb, late),
        case("commits::an_unknown_commit_is_asked_for_again", Backend::Mongodb, unknown),
        case("commits::an_unknown_commit_that_was_not_done_is_run_again", Backend::Mongodb, unknown_and_undone),
        case("commits::an_append_stays_in_doubt_until_a_commit_has_looked_at_it", Backend::Mongodb, doubtful),
        case("commits::a_transient_refusal_runs_the_whole_again", Backend::Mongodb, transient),
        case("commits::a_refusal_that_stays_ends_at_the_deadline", Backend::Mongodb, staying),
    ]
}

/// How servers say that they do not know: they step down, they stop, they cannot reach the others in time.
fn unknowns() -> Vec<Document> {
    let labels = vec![UNKNOWN_TRANSACTION_COMMIT_RESULT];
    let errors = [50, 64, 91, 189, 10_107].map(|code| refusal(code, &labels));
    let concerns =
        [64, 91, 189].map(|code| doc! { "ok": 1.0, "writeConcernError": { "code": code, "errmsg": "waiting for the others" }, "errorLabels": &labels });
    errors.into_iter().chain(concerns).collect()
}

/// It was done: asking again finds out, and the body is not run again, which would find its own ids.
async fn unknown(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, script, mut history) = (stage.open().await?, stage.proxy.script(), History::default());
    for (round, answer) in unknowns().into_iter().enumerate() {
        script.take();
        script.order("commitTransaction", "", TIMES, Deed::replace(answer.clone()));
        done(&store, &draft(&format!("s-{round}"), Demand::NoStream), &mut history)
            .await
            .map_err(|wrong| because(&answer, &wrong))?;
        let (inserts, commits) = (script.count("insert"), script.count("commitTransaction"));
        if inserts != 1 || commits != TIMES as usize + 1 {
            return Err(format!(
                "a commit answered {answer} was asked for {commits} times, and the body was sent {inserts} times"
            )
            .into());
        }
    }
    stage.conclude("unknown commits", &store, &history).await
}

/// It was not done: the server says so when asked again.
async fn unknown_and_undone(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, script, mut history) = (stage.open().await?, stage.proxy.script(), History::default());
    for (round, answer) in unknowns().into_iter().enumerate() {
        script.order("commitTransaction", "", TIMES, Deed::Abort(answer.clone()));
        script.order("commitTransaction", "", 1, Deed::Abort(refusal(251, &[TRANSIENT_TRANSACTION_ERROR])));
        done(&store, &draft(&format!("s-{round}"), Demand::NoStream), &mut history)
            .await
            .map_err(|wrong| because(&answer, &wrong))?;
        if !script.is_done() {
            return Err(format!("a commit answered {answer} was not asked for until its end was known").into());
        }
    }
    stage.conclude("unknown commits that were not done", &store, &history).await
}

/// It was done, and its answer was lost. What the server says of the transaction afterwards does not prove that nothing
/// was written, and neither do later attempts that are refused before they can look.
async fn doubtful(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, script, mut history) = (stage.open().await?, stage.proxy.script(), History::default());
    for (round, code) in [251, 112, 24].into_iter().enumerate() {
        let draft = draft(&format!("s-{round}"), Demand::NoStream);
        script.order("commitTransaction", "", 1, Deed::Cut(Cut::BeforeReply));
        script.order("commitTransaction", "", 1, Deed::Answer(refusal(code, &[TRANSIENT_TRANSACTION_ERROR])));
        let run_again = refusal(112, &[TRANSIENT_TRANSACTION_ERROR]);
        script.order("update", ".heads", 1, Deed::edit(|_| {}));
        script.order("update", ".heads", u64::MAX, Deed::Abort(run_again));
        let (events, options) = (draft.events.clone(), expecting(&draft, WINDOW));
        let told = in_time("an append in doubt", store.append(&draft.stream, events, options)).await?;
        let error = told.err().ok_or("an append whose commit was not answered was said to be done")?;
        if error.outcome() != Outcome::Unknown {
            return Err(format!("a commit was lost, then answered {code}, and the append says {error:?}").into());
        }
        script.clear();
        let (attempt, repeated, _) = in_time("the repetition", draft.append(&store)).await?;
        if !repeated {
            return Err(
                format!("a commit was lost, then answered {code}; its repetition says {:?}", attempt.answer).into()
            );
        }
        history.attempts.push(attempt);
    }
    stage.conclude("commits in doubt", &store, &history).await
}

fn because(answer: &Document, wrong: &Failed) -> Failed {
    format!("a commit was answered {answer}: {}", wrong.message().unwrap_or_default()).into()
}

/// Another writer was first, the transaction is gone, the server stops or its snapshot does.
async fn transient(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, script, mut history) = (stage.open().await?, stage.proxy.script(), History::default());
    for command in ["update", "insert", "commitTransaction"] {
        for code in [112, 246, 251, 91, 189] {
            script.order(command, place(command), 2, Deed::Abort(refusal(code, &[TRANSIENT_TRANSACTION_ERROR])));
            let draft = draft(&format!("{command}-{code}"), Demand::NoStream);
            done(&store, &draft, &mut history)
                .await
                .map_err(|wrong| format!("{command} was answered {code}: {}", wrong.message().unwrap_or_default()))?;
            if !script.is_done() {
                return Err(format!("{command} was answered {code} and the whole was not run again").into());
            }
        }
    }
    stage.conclude("transient refusals", &store, &history).await
}

async fn staying(ground: Ground) -> Result<(), Failed> {
    let stages = ["update", "insert", "commitTransaction"].map(|command| refused_until_the_deadline(&ground, command));
    try_join_all(stages).await.map(drop)
}

/// Not a hot loop until then. Then it says that nothing was done, if no commit was sent.
async fn refused_until_the_deadline(ground: &Ground, command: &'static str) -> Result<(), Failed> {
    let stage = Stage::set(ground).await?;
    let store = stage.options().namespace(command.to_ascii_lowercase()).open().await?;
    let script = stage.proxy.script();
    let (mut history, draft) = (History::default(), draft("s-1", Demand::NoStream));
    done(&store, &super::draft("s-0", Demand::NoStream), &mut history).await?;
    script.take();
    script.order(command, place(command), u64::MAX, Deed::Abort(refusal(112, &[TRANSIENT_TRANSACTION_ERROR])));
    let began = Instant::now();
    let told =
        in_time("a refused append", store.append(&draft.stream, draft.events.clone(), expecting(&draft, WINDOW)))
            .await?;
    let (took, tries) = (began.elapsed(), script.count(command));
    let error = told.err().ok_or("an append that was always refused was said to be done")?;
    // Refused before the commit was sent: nothing can be written any more.
    if command != "commitTransaction" && error.outcome() != Outcome::NotApplied {
        return Err(format!("{command} was always refused, and the append says {error:?}").into());
    }
    if !matches!(error.kind(), ErrorKind::Unavailable) || took > WINDOW * 2 {
        return Err(format!("{command} was always refused, and the append answered after {took:?}: {error:?}").into());
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
    println!("commits: {command} refused for {took:?}: {tries} tries, then {:?}", error.outcome());
    Ok(store.close().await?)
}

/// A command that nobody waits for any more arrives when its transaction has long ended.
async fn late(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, direct, script, mut history) =
        (stage.open().await?, ground.open().await?, stage.proxy.script(), History::default());
    for (round, command) in ["commitTransaction", "insert", "commitTransaction", "insert"].into_iter().enumerate() {
        let stream = format!("s-{round}");
        script.order(command, "", 1, Deed::Cut(Cut::Delayed));
        done(&store, &draft(&stream, Demand::NoStream), &mut history).await?;
        done(&direct, &draft(&stream, Demand::Exact(2)), &mut history).await?;
        in_time("the delayed command", stage.proxy.deliver()).await?;
        done(&direct, &draft(&stream, Demand::Exact(4)), &mut history).await?;
    }
    direct.close().await?;
    stage.conclude("late commits", &store, &history).await
}
