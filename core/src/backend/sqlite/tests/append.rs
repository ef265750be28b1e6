//! Appends: the answer of each, and the commit of a repeat.

use super::*;

#[tokio::test]
async fn a_group_answers_each_append_for_itself() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let known = event();
    backend.append(&[request("a-1", ExpectedVersion::NoStream, vec![known.clone()])]).await.pop().unwrap().unwrap();
    let tagged = event().with_tags(["x:1", "x:2", "x:1"]);
    let group = [
        request("a-2", ExpectedVersion::Any, vec![event(), event()]),
        request("a-1", ExpectedVersion::Exact(7), vec![event()]),
        request("a-3", ExpectedVersion::NoStream, vec![tagged.clone()]),
        request("a-4", ExpectedVersion::Any, vec![known.clone()]),
        request("a-2", ExpectedVersion::Any, vec![event()]),
        request("a-2", ExpectedVersion::Any, vec![tagged]),
    ];
    let answers = backend.append(&group).await;
    let placed = |n: usize| {
        answers[n].as_ref().map(|appended| (appended.version, appended.position)).map_err(|error| error.code())
    };
    assert_eq!(
        (0..6).map(placed).collect::<Vec<_>>(),
        [Ok((2, 3)), Err("conflict"), Ok((1, 4)), Err("duplicate-event"), Ok((3, 5)), Err("duplicate-event")],
        "the last repeats an id of another stream in the same group"
    );
    let again = backend.append(&[request("a-1", ExpectedVersion::NoStream, vec![known])]).await.pop().unwrap().unwrap();
    assert!(again.repeated && again.position == 1);
    backend.close().await;
}

#[tokio::test]
async fn a_repeated_append_is_committed_once_more() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut other = folder.connect().await;
    let (lone, tagged, imported) = (event(), event().with_tags(["t"]), event());
    let group = [
        request("s-1", ExpectedVersion::NoStream, vec![lone]),
        request("s-2", ExpectedVersion::NoStream, vec![tagged]),
    ];
    let import = import(imported);
    for answer in [backend.append(&group[..1]).await, backend.append(&group[1..]).await].concat() {
        assert!(!answer.unwrap().repeated);
    }
    assert_eq!(backend.import(&import).await.unwrap().imported, 1);
    // The value changes with each commit of another connection, and only then.
    let mut commits = async || {
        let rows = sqlx::query("PRAGMA data_version").fetch_all(&mut other).await.unwrap();
        rows[0].get::<i64, _>(0)
    };
    let mut before = commits().await;
    for group in [&group[..1], &group[1..], &group[..]] {
        assert!(backend.append(group).await.into_iter().all(|answer| answer.unwrap().repeated));
        let after = commits().await;
        assert_ne!(before, after, "a repeat without a commit of its own");
        before = after;
    }
    assert_eq!(backend.import(&import).await.unwrap().passed_over, 1);
    assert_ne!(commits().await, before, "a repeated import without a commit of its own");
    let before = commits().await;
    let refused = backend.append(&[request("s-1", ExpectedVersion::Exact(9), vec![event()])]).await.pop().unwrap();
    assert_eq!(refused.unwrap_err().code(), "conflict");
    assert_eq!(commits().await, before, "a refusal needs no commit");
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn a_repeat_whose_commit_is_refused_stays_in_doubt() {
    let folder = Folder::new();
    let mut backend = folder.backend().await;
    let (append, import) = ([request("s-1", ExpectedVersion::Any, vec![event()])], import(event()));
    backend.append(&append).await.pop().unwrap().unwrap();
    backend.import(&import).await.unwrap();
    let mut other = folder.connect().await;
    run(
        &mut other,
        "CREATE TRIGGER refuse BEFORE UPDATE ON streamkeep_namespaces BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
    )
    .await;
    // The statement that confirms a repeat.
    let mut sql = Sql::new("default");
    sql.touch_and_commit = "UPDATE streamkeep_namespaces SET epoch = epoch; COMMIT".into();
    backend.sql = Arc::new(sql);
    let appended = backend.append(&append).await.pop().unwrap().unwrap_err();
    let imported = backend.import(&import).await.unwrap_err();
    for error in [appended, imported] {
        assert_eq!(error.outcome(), Outcome::Unknown, "the events are stored: {error:?}");
    }
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn a_split_group_keeps_the_doubt_of_each_append() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut other = folder.connect().await;
    run(
        &mut other,
        "CREATE TRIGGER refuse BEFORE INSERT ON streamkeep_default_events WHEN new.type = 'Refused' \
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
    )
    .await;
    let refused = || vec![Event::json_text("Refused", "{}")];
    let group = [
        request("s-1", ExpectedVersion::Any, refused()),
        request("s-2", ExpectedVersion::Any, vec![event()]),
        request("s-3", ExpectedVersion::Any, refused()),
    ];
    let answers = backend.append_in_form(&group, Form::Careful, soon(), vec![true, true, false]).await;
    let told = answers.into_iter().map(|answer| answer.map(|appended| appended.version).map_err(|e| e.outcome()));
    assert_eq!(told.collect::<Vec<_>>(), [Err(Outcome::Unknown), Ok(1), Err(Outcome::NotApplied)]);
    other.close().await.unwrap();
    backend.close().await;
}
