//! The format of a stored namespace, and which libraries may read and write it.

/// The format of a namespace, as the database stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) format: i64,
    /// The oldest library that may read it, by the format that the library writes.
    pub(crate) min_reader: i64,
    /// The oldest library that may write it.
    pub(crate) min_writer: i64,
}

impl Format {
    /// Refuses a read by a library of format `known` if it is too old. The error is the reason.
    pub(crate) fn check_reader(self, known: i64) -> Result<(), String> {
        if self.min_reader > known { Err(self.too_old("read", self.min_reader, known)) } else { Ok(()) }
    }

    /// As [`Format::check_reader`], for writing.
    pub(crate) fn check_writer(self, known: i64) -> Result<(), String> {
        if self.min_writer > known { Err(self.too_old("written", self.min_writer, known)) } else { Ok(()) }
    }

    fn too_old(self, what: &str, needed: i64, known: i64) -> String {
        format!(
            "the namespace has format {} and can only be {what} by a library of format {needed} or later; this library \
             has format {known}",
            self.format
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_have_a_limit_each() {
        let may = |min_reader, min_writer| {
            let format = Format { format: 9, min_reader, min_writer };
            (format.check_reader(1).is_ok(), format.check_writer(1).is_ok())
        };
        assert_eq!(may(1, 1), (true, true));
        assert_eq!(may(1, 2), (true, false));
        assert_eq!(may(2, 1), (false, true));
    }
}
