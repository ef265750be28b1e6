//! Names in the case of each language.

/// `recorded_event` and `no-stream` to `RecordedEvent` and `NoStream`.
#[must_use]
pub fn pascal(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    name.split(['_', '-']).map(capital).collect()
}

/// `from_version` to `fromVersion`.
#[must_use]
pub fn camel(name: &str) -> String {
    let pascal = pascal(name);
    let mut letters = pascal.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// `no-stream` to `NO_STREAM`.
#[must_use]
pub fn constant(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_case_of_each_language() {
        assert_eq!(pascal("recorded_event"), "RecordedEvent");
        assert_eq!(pascal("stream-exists"), "StreamExists");
        assert_eq!(camel("from_version"), "fromVersion");
        assert_eq!(camel("after"), "after");
        assert_eq!(constant("no-stream"), "NO_STREAM");
    }
}
