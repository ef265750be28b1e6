use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;

use super::*;
use crate::version::ExpectedVersion;

type Group = Vec<AppendRequest>;

fn group(stream: &str, events: usize) -> Group {
    vec![AppendRequest {
        stream: stream.to_owned(),
        expected: ExpectedVersion::Any,
        events: (0..events).map(|_| Event::json_text("Happened", "{}")).collect(),
        deadline: soon(),
    }]
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Answers each group with its stream and the number of groups in its write.
fn answers(groups: &[Group]) -> Vec<(String, usize)> {
    groups.iter().map(|group| (group[0].stream.clone(), groups.len())).collect()
}

/// A combiner of which one caller waits in its write, and the semaphore that lets writes continue.
async fn with_one_that_writes() -> (Arc<Combiner<Group, (String, usize)>>, Arc<Semaphore>) {
    let (combiner, gate) = (Arc::new(Combiner::new(0)), Arc::new(Semaphore::new(0)));
    let (reached, writes) = oneshot::channel();
    let reached = Mutex::new(Some(reached));
    let (shared, held) = (Arc::clone(&combiner), Arc::clone(&gate));
    tokio::spawn(async move {
        let write = |groups: Vec<Group>| {
            let _ = reached.lock().unwrap().take().map(|reached| reached.send(()));
            let held = &held;
            async move {
                let _open = held.acquire().await.unwrap();
                answers(&groups)
            }
        };
        shared.run(0, group("first", 1), soon(), write).await
    });
    writes.await.unwrap();
    (combiner, gate)
}

#[tokio::test]
async fn one_caller_writes_for_all_that_wait_and_each_gets_its_own_answer() {
    let (combiner, gate) = with_one_that_writes().await;
    let writes = AtomicUsize::new(0);
    let write = |groups: Vec<Group>| {
        writes.fetch_add(1, Ordering::Relaxed);
        async move { answers(&groups) }
    };
    let callers = (1..=5).map(|n| combiner.run(n, group(&format!("s-{n}"), 1), soon(), write));
    let open = async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    let (told, ()) = tokio::join!(join_all(callers), open);
    let expected: Vec<_> = (1..=5).map(|n| Ok((format!("s-{n}"), 5))).collect();
    assert_eq!(told, expected);
    assert_eq!(writes.into_inner(), 1);
}

#[tokio::test]
async fn a_group_that_no_caller_takes_before_its_limit_is_late_and_never_written() {
    let (combiner, gate) = with_one_that_writes().await;
    let limit = Instant::now() + Duration::from_millis(20);
    let write = |groups: Vec<Group>| async move { answers(&groups) };
    assert_eq!(combiner.run(1, group("late", 1), limit, write).await, Err(Unanswered::Late));
    gate.add_permits(1);
    // Alone in its write: the late group is not in it.
    assert_eq!(combiner.run(2, group("next", 1), soon(), write).await, Ok(("next".to_owned(), 1)));
}

#[tokio::test]
async fn a_write_takes_at_most_a_thousand_events_or_one_group() {
    let (combiner, gate) = with_one_that_writes().await;
    let write = |groups: Vec<Group>| async move { answers(&groups) };
    let sizes = [600, 400, 1, 1_000, 1_001, 2];
    let callers = sizes.map(|events| combiner.run(events, group(&events.to_string(), events), soon(), write));
    let open = async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    let (told, ()) = tokio::join!(join_all(callers), open);
    let together: Vec<usize> = told.into_iter().map(|answer| answer.unwrap().1).collect();
    assert_eq!(together, [2, 2, 1, 1, 1, 1]);
}

#[tokio::test]
async fn callers_of_a_write_that_panics_are_told_and_the_next_write_works() {
    let (combiner, gate) = with_one_that_writes().await;
    let panics = |_: Vec<Group>| -> std::future::Ready<Vec<(String, usize)>> { panic!("a planted panic") };
    let caller = |n: usize| {
        let combiner = Arc::clone(&combiner);
        tokio::spawn(async move { combiner.run(n, group("lost", 1), soon(), panics).await })
    };
    let lost = [caller(1), caller(2)];
    tokio::task::yield_now().await;
    gate.add_permits(1);
    let [first, second] = lost;
    assert!(first.await.is_err_and(|error| error.is_panic()));
    assert_eq!(second.await.unwrap(), Err(Unanswered::Lost));
    let write = |groups: Vec<Group>| async move { answers(&groups) };
    assert_eq!(combiner.run(3, group("next", 1), soon(), write).await, Ok(("next".to_owned(), 1)));
}

/// Callers 1 and 2 share a write, and 3 and 4 enter during it.
#[tokio::test]
async fn a_caller_that_ends_while_it_writes_holds_up_no_other() {
    for panics in [true, false] {
        let (combiner, gate) = with_one_that_writes().await;
        let (reached, mut writes) = tokio::sync::mpsc::unbounded_channel();
        let (end, ended) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let caller = |n: usize| {
            let (combiner, reached) = (Arc::clone(&combiner), reached.clone());
            let (end, ended) = (Arc::clone(&end), Arc::clone(&ended));
            let write = move |groups: Vec<Group>| {
                let (reached, end, ended) = (reached.clone(), Arc::clone(&end), Arc::clone(&ended));
                async move {
                    if ended.fetch_add(1, Ordering::Relaxed) == 0 {
                        reached.send(()).unwrap();
                        end.acquire().await.unwrap().forget();
                        panic!("a planted panic");
                    }
                    answers(&groups)
                }
            };
            tokio::spawn(async move { combiner.run(n, group(&n.to_string(), 1), soon(), write).await })
        };
        let taken = [caller(1), caller(2)];
        tokio::task::yield_now().await;
        gate.add_permits(1);
        writes.recv().await.unwrap();
        let waiting = [caller(3), caller(4)];
        tokio::task::yield_now().await;
        if panics {
            end.add_permits(1);
        } else {
            taken[0].abort();
        }
        let [writer, lost] = taken;
        assert!(writer.await.is_err_and(|error| error.is_panic() == panics));
        assert_eq!(lost.await.unwrap(), Err(Unanswered::Lost));
        for (n, caller) in (3..).zip(waiting) {
            assert_eq!(caller.await.unwrap(), Ok((n.to_string(), 2)), "panics: {panics}");
        }
    }
}

#[tokio::test]
async fn a_group_whose_caller_is_dropped_while_it_waits_is_never_written() {
    let (combiner, gate) = with_one_that_writes().await;
    let write = |groups: Vec<Group>| async move { answers(&groups) };
    let mut gone = Box::pin(combiner.run(1, group("gone", 1), soon(), write));
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    let next = combiner.run(2, group("next", 1), soon(), write);
    let open = async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    let (told, ()) = tokio::join!(next, open);
    assert_eq!(told, Ok(("next".to_owned(), 1)), "alone in its write");
}

#[tokio::test]
async fn a_write_waits_for_the_callers_of_the_last_two_writes() {
    const CALLERS: usize = 4;
    const ROUNDS: usize = 50;
    for (yields, most_writes) in [(0, usize::MAX), (100, ROUNDS + CALLERS)] {
        let combiner = Combiner::new(yields);
        let writes = AtomicUsize::new(0);
        let write = |groups: Vec<Group>| {
            writes.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                answers(&groups)
            }
        };
        let caller = |n: usize| {
            let (combiner, write) = (&combiner, &write);
            async move {
                for _ in 0..ROUNDS {
                    // Each caller takes another time to append again.
                    for _ in 0..n {
                        tokio::task::yield_now().await;
                    }
                    combiner.run(n, group("s", 1), soon(), write).await.unwrap();
                }
            }
        };
        join_all((0..CALLERS).map(caller)).await;
        assert!(writes.load(Ordering::Relaxed) <= most_writes, "{yields} yields: {writes:?} writes");
        assert!(yields > 0 || writes.into_inner() > ROUNDS + CALLERS, "without gathering there are more writes");
    }
}
