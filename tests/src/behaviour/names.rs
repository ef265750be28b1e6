//! Rule 28: names reach the database only as parameters, and streams are compared byte for byte.

use futures::TryStreamExt;
use streamkeep::{Event, Query, QueryItem, ReadAllOptions, RecordedEvent};

use super::{append, event, stream};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        names_are_never_part_of_a_statement,
        streams_are_compared_byte_for_byte,
        a_category_is_the_part_before_the_first_dash,
        a_category_is_never_empty,
    ]
}

const HOSTILE: [&str; 8] =
    ["'; DROP TABLE events; --", "\" OR \"\"=\"", "$1", "?1", ":name", "%s%n", "\\'; SELECT 1", "a%_b"];

async fn names_are_never_part_of_a_statement(room: Room) {
    let store = room.store().await;
    for name in HOSTILE {
        append(&store, name, [Event::json_text(format!("T{name}"), "{}").with_tags([name]).with_schema(name)]).await;
    }
    for name in HOSTILE {
        let recorded = stream(&store, name).await;
        assert_eq!(
            (recorded.len(), recorded[0].tags.as_slice(), recorded[0].schema.as_deref()),
            (1, &[name.to_owned()][..], Some(name))
        );
        let by = |item: QueryItem| ReadAllOptions { query: Query::from(item), ..ReadAllOptions::default() };
        let name = || vec![name.to_owned()];
        let items = [
            QueryItem { tags: name(), ..QueryItem::default() },
            QueryItem { streams: name(), ..QueryItem::default() },
            QueryItem {
                categories: vec![streamkeep::category(&name()[0]).to_owned()],
                streams: name(),
                ..QueryItem::default()
            },
            QueryItem { types: vec![format!("T{}", name()[0])], ..QueryItem::default() },
        ];
        for item in items {
            let found: Vec<RecordedEvent> =
                store.read_all(by(item.clone())).try_collect().await.expect("the log is read");
            assert_eq!(found.len(), 1, "{item:?}");
        }
    }
}

async fn streams_are_compared_byte_for_byte(room: Room) {
    let store = room.store().await;
    // A collation, a normal form, padding or a numeric column would treat each pair as equal.
    let names = ["a", "A", "a ", "é", "e\u{301}", "1", "01", "1.0", "ß", "ss", "a-1", "a-01"];
    for name in names {
        append(&store, name, [event(1)]).await;
    }
    for name in names {
        let recorded = stream(&store, name).await;
        assert_eq!((recorded.len(), recorded[0].stream.as_str()), (1, name));
    }
}

async fn a_category_is_the_part_before_the_first_dash(room: Room) {
    let store = room.store().await;
    for name in ["order-1", "order-2-b", "order", "orders-1", "Order-1", "order_1-2"] {
        append(&store, name, [event(1)]).await;
    }
    let orders = Query::from(QueryItem { categories: vec!["order".to_owned()], ..QueryItem::default() });
    let found: Vec<RecordedEvent> = store
        .read_all(ReadAllOptions { query: orders, ..ReadAllOptions::default() })
        .try_collect()
        .await
        .expect("the log is read");
    assert_eq!(found.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>(), ["order-1", "order-2-b", "order"]);
}

async fn a_category_is_never_empty(room: Room) {
    let store = room.store().await;
    let own = ["-42", "-", "--", "-a-b", "-42-1"];
    for name in own.into_iter().chain(["a-42", "a", "42-", "42"]) {
        append(&store, name, [event(1)]).await;
    }
    let in_category = async |category: &str| {
        let query = Query::from(QueryItem { categories: vec![category.to_owned()], ..QueryItem::default() });
        let found: Vec<RecordedEvent> = store
            .read_all(ReadAllOptions { query, ..ReadAllOptions::default() })
            .try_collect()
            .await
            .expect("the log is read");
        found.into_iter().map(|event| event.stream).collect::<Vec<_>>()
    };
    for name in own {
        assert_eq!(streamkeep::category(name), name);
        assert_eq!(in_category(name).await, [name], "a name that begins with a dash is its own category");
    }
    assert_eq!(in_category("42").await, ["42-", "42"]);
    assert_eq!(in_category("a").await, ["a-42", "a"]);
    assert!(in_category("a-42").await.is_empty(), "a name with a later dash is no category");
}
