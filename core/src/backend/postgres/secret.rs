//! The password, and texts without it.

use std::fmt;

/// What stands in a text in place of the password.
const MASK: &str = "***";

/// A password that no text of the store may show.
#[derive(Clone, Default)]
pub(super) struct Secret(Option<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Secret {
    pub(super) fn new(password: Option<String>) -> Self {
        Self(password.filter(|password| !password.is_empty()))
    }

    /// The server's words, without the password if they repeat it.
    pub(super) fn mask(&self, words: &str) -> String {
        self.0.as_ref().map_or_else(|| words.to_owned(), |password| words.replace(password, MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_wherever_it_stands() {
        let secret = Secret::new(Some("geheim".to_owned()));
        assert_eq!(secret.mask("geheim: no role \"geheim\""), "***: no role \"***\"");
        assert_eq!(format!("{secret:?}"), "***");
        for none in [None, Some(String::new())] {
            assert_eq!(Secret::new(none).mask("no role"), "no role");
        }
    }
}
