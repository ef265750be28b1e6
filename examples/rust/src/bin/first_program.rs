//! The first program, which an empty project runs with the installed crate.

use futures::TryStreamExt;
use streamkeep::{
    ErrorKind, Event, EventStore, ExpectedVersion, Item, Payload, ReadOptions, Snapshot, SubscribeOptions,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = std::env::var("STREAMKEEP_URL")
        .unwrap_or_else(|_| format!("sqlite:{}", folder.path().join("orders.db").display()));
    let store = EventStore::open(url).await?;

    let placed = Event::json_text("OrderPlaced", r#"{"total":12.5}"#);
    let paid = Event::json_text("OrderPaid", r#"{"amount":12.5}"#);
    let at = store.append("order-42", [placed, paid], ExpectedVersion::NoStream).await?;
    println!("appended order-42 up to version {}", at.version);

    let again = store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::NoStream).await;
    match again.as_ref().map_err(streamkeep::Error::kind) {
        Err(ErrorKind::Conflict { stream, expected, actual }) => {
            println!("conflict on {stream}: expected {expected}, actual {actual}")
        }
        _ => return Err("the append must conflict".into()),
    }

    let mut events = store.read("order-42", ReadOptions::default());
    while let Some(event) = events.try_next().await? {
        println!("{} {} {}", event.version, event.event_type, event.data.as_json().unwrap_or("(bytes)"));
    }

    let state = Snapshot {
        stream: "order-42".into(),
        version: at.version,
        schema: "order/1".into(),
        data: Payload::Json(r#"{"paid":true}"#.into()),
    };
    store.save_snapshot(state).await?;
    if let Some(snapshot) = store.load_snapshot("order-42", "order/1", None).await? {
        println!(
            "snapshot {} at version {}: {}",
            snapshot.schema,
            snapshot.version,
            snapshot.data.as_json().unwrap_or("(bytes)")
        );
    }

    let mut subscription = store.subscribe(SubscribeOptions::default());
    while let Some(item) = subscription.try_next().await? {
        match item {
            Item::Event(event) => println!("event {} of {}", event.version, event.stream),
            Item::CaughtUp => break,
        }
    }
    println!("caught up");

    store.close().await?;
    println!("closed");
    Ok(())
}
