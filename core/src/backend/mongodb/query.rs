//! A query as a filter.

use mongodb::bson::{Bson, Document, doc};

use crate::query::{Query, QueryItem};

/// What matches a query; nothing to restrict when it means everything.
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

/// A stream of a category is named like it, or begins with it and a `-`, whose next character is `.`. A name that begins
/// with a `-` is its own category, and one with a `-` further on is none.
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
