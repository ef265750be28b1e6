//! Orders: append, read, follow.

use futures::TryStreamExt;
use serde_json::json;
use streamkeep::{Event, EventStore, ExpectedVersion, Item, ReadOptions, SubscribeOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = std::env::var("STREAMKEEP_URL")
        .unwrap_or_else(|_| format!("sqlite:{}", folder.path().join("orders.db").display()));

    let store = EventStore::open(url).await?;
    let placed = Event::json("OrderPlaced", &json!({"total": 12.5}))?;
    let at = store.append("order-42", [placed], ExpectedVersion::NoStream).await?;
    println!("{}", at.version);
    let mut events = store.read("order-42", ReadOptions::default());
    while let Some(e) = events.try_next().await? {
        println!("{} {}", e.version, e.event_type);
    }
    let mut sub = store.subscribe(SubscribeOptions::default());
    while let Some(item) = sub.try_next().await? {
        match item {
            Item::Event(e) => println!("{}", e.position == at.position),
            Item::CaughtUp => break,
        }
    }
    store.close().await?;
    Ok(())
}
