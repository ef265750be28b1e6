//! Rule 7: appends share commits, and each gets its own answer.

use std::time::Duration;

use streamkeep::{AppendOptions, Event, ExpectedVersion};

use super::{all_at_once, append, event, events, log, stream};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        appends_of_many_callers_each_get_their_own_answer,
        a_refused_append_does_not_affect_others_of_its_group,
        a_passed_deadline_does_not_affect_others_of_its_group,
        appends_beyond_the_size_of_the_queue_wait_and_commit,
    ]
}

async fn appends_of_many_callers_each_get_their_own_answer(room: Room) {
    let store = room.store().await;
    let answers = all_at_once((0..200_u64).map(|caller| {
        let store = store.clone();
        async move { (caller, append(&store, &format!("s-{}", caller % 40), [event(caller)]).await) }
    }));
    let answers = answers.await;
    let recorded = log(&store).await;
    assert_eq!(recorded.len(), 200);
    for (caller, done) in answers {
        let own =
            recorded.iter().find(|event| event.position == done.position).expect("the answered position is in the log");
        assert_eq!((own.data.as_json(), own.version), (Some(caller.to_string().as_str()), done.version));
    }
}

async fn a_refused_append_does_not_affect_others_of_its_group(room: Room) {
    let store = room.store().await;
    append(&store, "there", [event(0)]).await;
    let known = event("\"known\"");
    append(&store, "known", [known.clone()]).await;
    let answers = all_at_once((0..120_u64).map(|caller| {
        let (store, known) = (store.clone(), known.clone());
        async move {
            let answer = match caller % 4 {
                0 => store.append("there", [event(caller)], 77).await,
                1 => store.append(format!("b-{caller}"), [Event::json_text("E", "[1,")], ExpectedVersion::Any).await,
                2 => {
                    store
                        .append(
                            format!("c-{caller}"),
                            [Event::json_text("other", "1").with_id(known.id)],
                            ExpectedVersion::Any,
                        )
                        .await
                }
                _ => store.append(format!("d-{caller}"), [event(caller)], ExpectedVersion::NoStream).await,
            };
            (caller, answer)
        }
    }));
    for (caller, answer) in answers.await {
        let code = answer.as_ref().map_or_else(|error| error.code(), |_| "done");
        assert_eq!(
            code,
            ["conflict", "invalid-argument", "duplicate-event", "done"]
                [usize::try_from(caller % 4).expect("the number fits")],
            "{answer:?}"
        );
    }
    assert_eq!(log(&store).await.len(), 2 + 30);
}

async fn a_passed_deadline_does_not_affect_others_of_its_group(room: Room) {
    let store = room.store().await;
    let answers = all_at_once((0..60_u64).map(|caller| {
        let store = store.clone();
        let timeout = (caller % 3 == 0).then_some(Duration::ZERO);
        async move {
            (
                caller,
                store
                    .append(
                        format!("s-{caller}"),
                        [event(caller)],
                        AppendOptions { timeout, ..AppendOptions::default() },
                    )
                    .await,
            )
        }
    }));
    for (caller, answer) in answers.await {
        match answer {
            Ok(_) => assert_ne!(caller % 3, 0, "an append past its deadline does not commit"),
            Err(error) => assert!(caller % 3 == 0 && error.code() == "unavailable", "{caller}: {error}"),
        }
    }
    assert_eq!(log(&store).await.len(), 40);
}

async fn appends_beyond_the_size_of_the_queue_wait_and_commit(room: Room) {
    const CALLERS: usize = 10;
    let store = room.store().await;
    let answers = all_at_once((0..CALLERS).map(|caller| {
        let store = store.clone();
        async move {
            store.append(format!("s-{caller}"), [Event::bytes("E", vec![7; 8 << 20])], ExpectedVersion::NoStream).await
        }
    }));
    for answer in answers.await {
        assert_eq!(answer.expect("the append waits and commits").version, 1);
    }
    for caller in 0..CALLERS {
        assert_eq!(stream(&store, &format!("s-{caller}")).await[0].data.len(), 8 << 20);
    }
    append(&store, "s-0", events(1)).await;
}
