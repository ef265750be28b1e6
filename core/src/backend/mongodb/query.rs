//! Converts a query to a filter.

use mongodb::bson::{Bson, Document, doc};

use crate::query::{Query, QueryItem};

/// The filter of a query; `None` if it matches everything.
pub(super) fn filter(query: &Query) -> Option<Document> {
    if query.is_everything() {
        return None;
    }
    Some(any(query.items.iter().map(matching).collect()))
}

fn matching(item: &QueryItem) -> Document {
    let mut all = Document::new();
    if !item.types.is_empty() {
        all.insert("type", doc! { "$in": &item.types });
    }
    if !item.tags.is_empty() {
        all.insert("tags", doc! { "$all": &item.tags });
    }
    if !item.streams.is_empty() {
        all.insert("stream", doc! { "$in": &item.streams });
    }
    if !item.categories.is_empty() {
        all.insert("$or", item.categories.iter().flat_map(|category| in_category(category)).collect::<Vec<Bson>>());
    }
    all
}

/// The streams of a category: the one with the same name, and those whose names begin with the category and a `-`. Such
/// names sort before the category and a `.`, because `.` follows `-`. A category that begins with `-` has only the
/// stream of that name, and no category has a `-` after its first character.
fn in_category(category: &str) -> Vec<Bson> {
    let same_name = Bson::Document(doc! { "stream": category });
    match category.find('-') {
        Some(0) => return vec![same_name],
        Some(_) => return vec![Bson::Document(doc! { "stream": { "$in": [] } })],
        None => {}
    }
    vec![
        same_name,
        Bson::Document(doc! { "stream": { "$gte": format!("{category}-"), "$lt": format!("{category}.") } }),
    ]
}

fn any(mut alternatives: Vec<Document>) -> Document {
    match alternatives.len() {
        1 => alternatives.remove(0),
        _ => doc! { "$or": alternatives },
    }
}
