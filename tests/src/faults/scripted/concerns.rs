//! The commands carry the concerns that the store needs, whatever the URL says.

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Bson, Document, doc};
use streamkeep::{Event, ExpectedVersion, ImportEvent, OpenOptions, Payload, ReadPageOptions, Snapshot};
use streamkeep_tests::harness::Backend;

use super::super::ground::{Ground, case};
use super::super::proxy::Seen;
use super::Proxied;

/// Parameters that ask for weaker concerns.
const WEAKER: &str =
    "&w=1&journal=false&readConcernLevel=local&readPreference=secondary&retryWrites=false&retryReads=false";
const WRITES: [&str; 5] = ["insert", "update", "findAndModify", "create", "createIndexes"];

pub fn trials() -> Vec<Trial> {
    vec![
        case("concerns::commands_carry_the_concerns_that_the_store_needs", Backend::Mongodb, commands),
        case("concerns::a_page_is_read_in_one_session", Backend::Mongodb, session),
    ]
}

async fn commands(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let store = OpenOptions::new(format!("{}{WEAKER}", proxied.url)).open().await?;
    let happened = || Event::json_text("Happened", "{}");
    store.append("s-1", [happened(), happened()], ExpectedVersion::NoStream).await?;
    store
        .import_events([ImportEvent { stream: "s-2".into(), version: None, recorded_at: None, event: happened() }])
        .await?;
    store
        .save_snapshot(Snapshot {
            stream: "s-1".into(),
            version: 1,
            schema: "s/1".into(),
            data: Payload::Json("{}".into()),
        })
        .await?;
    store.load_snapshot("s-1", "s/1", None).await?;
    store.read_page(ReadPageOptions::default()).await?;
    store.head().await?;
    store.close().await?;
    let seen = proxied.proxy.script().take();
    let mut wrong: Vec<String> = seen.iter().filter_map(weakness).collect();
    wrong.extend(
        ["find", "insert", "update", "commitTransaction", "createIndexes"]
            .iter()
            .filter(|name| !seen.iter().any(|seen| seen.command.name == **name))
            .map(|name| format!("no {name} was seen")),
    );
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Why a command is too weak.
fn weakness(seen: &Seen) -> Option<String> {
    let (name, body) = (seen.command.name.as_str(), &seen.command.body);
    let (begins, inside) = (body.contains_key("startTransaction"), seen.command.in_transaction());
    let preference = body
        .get_document("$readPreference")
        .ok()
        .and_then(|preference| preference.get_str("mode").ok())
        .unwrap_or("primary");
    // A driver with a direct connection adds 'primaryPreferred', so that the server may have any role.
    if !matches!(preference, "primary" | "primaryPreferred") {
        return Some(format!("{name} may run on another server than the primary: {body}"));
    }
    let level =
        body.get_document("readConcern").ok().and_then(|concern| concern.get_str("level").ok()).unwrap_or("none");
    if (begins || (name == "find" && !inside)) && !matches!(level, "majority" | "linearizable") {
        return Some(format!("{name} reads with concern '{level}': {body}"));
    }
    if (name == "commitTransaction" || (WRITES.contains(&name) && !inside)) && !is_durable(body) {
        return Some(format!("{name} does not wait for the disks of a majority: {body}"));
    }
    None
}

fn is_durable(body: &Document) -> bool {
    let concern = body.get_document("writeConcern").cloned().unwrap_or_else(|_| doc! {});
    concern.get_str("w").is_ok_and(|w| w == "majority") && concern.get_bool("j").unwrap_or_default()
}

/// The head and the events of a page may come from two servers, of which the second is behind. In one session the
/// second waits until it has the head.
async fn session(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let store = proxied.open().await?;
    store.append("s-1", [Event::json_text("Happened", "{}")], ExpectedVersion::NoStream).await?;
    proxied.proxy.script().take();
    for _ in 0..3 {
        store.read_page(ReadPageOptions::default()).await?;
        let seen = proxied.proxy.script().take();
        let finds: Vec<&Document> =
            seen.iter().filter(|seen| seen.command.name == "find").map(|seen| &seen.command.body).collect();
        let session = |body: &Document| body.get("lsid").cloned();
        let [head, page] = finds[..] else { return Err(format!("a page used {} finds", finds.len()).into()) };
        let after = page.get_document("readConcern").ok().and_then(|concern| concern.get("afterClusterTime"));
        if session(head).is_none() || session(head) != session(page) || !matches!(after, Some(Bson::Timestamp(_))) {
            return Err(format!("the events of a page need not be as new as its head: {head} {page}").into());
        }
    }
    Ok(store.close().await?)
}
