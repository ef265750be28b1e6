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

/// What an event must carry to match at all, by the index on tags; nothing when an item names no tag.
pub(super) fn leading_tags(query: &Query) -> Option<Vec<&str>> {
    query.items.iter().map(|item| item.tags.first().map(String::as_str)).collect()
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

/// A stream of a category is named like it, or begins with it and a `-`, whose next character is `.`. A name with a `-` is no category.
fn in_category(category: &str) -> Vec<Bson> {
    if category.contains('-') {
        return vec![Bson::Document(doc! { "stream": { "$in": [] } })];
    }
    vec![Bson::Document(doc! { "stream": category }), Bson::Document(doc! { "stream": { "$gte": format!("{category}-"), "$lt": format!("{category}.") } })]
}

fn any(mut alternatives: Vec<Document>) -> Document {
    match alternatives.len() {
        1 => alternatives.remove(0),
        _ => doc! { "$or": alternatives },
    }
}
