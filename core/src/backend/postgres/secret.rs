//! Keeps the password, and masks it in texts.

use std::fmt;

/// Replaces the password in a text.
const MASK: &str = "***";

/// A password that no error, log or debug text may show.
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

    /// Masks the password in a text of the server.
    pub(super) fn mask(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |password| text.replace(password, MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_everywhere_in_a_text() {
        let secret = Secret::new(Some("geheim".to_owned()));
        assert_eq!(secret.mask("geheim: no role \"geheim\""), "***: no role \"***\"");
        assert_eq!(format!("{secret:?}"), "***");
        for none in [None, Some(String::new())] {
            assert_eq!(Secret::new(none).mask("no role"), "no role");
        }
    }
}
