//! The format of a namespace, and which libraries may read and write it.

use super::error::Failure;

/// The format this library writes, and the oldest library that may read it and write it.
pub(super) const FORMAT: i32 = 1;
pub(super) const MIN_READER: i32 = 1;
pub(super) const MIN_WRITER: i32 = 1;

/// What a namespace says of its format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) format: i32,
    pub(super) min_reader: i32,
    pub(super) min_writer: i32,
}

impl Format {
    pub(super) fn check_reader(self) -> Result<(), Failure> {
        if self.min_reader > FORMAT { Err(self.too_old("read", self.min_reader)) } else { Ok(()) }
    }

    pub(super) fn check_writer(self) -> Result<(), Failure> {
        if self.min_writer > FORMAT { Err(self.too_old("written", self.min_writer)) } else { Ok(()) }
    }

    fn too_old(self, what: &str, needed: i32) -> Failure {
        Failure::Setup(format!(
            "the namespace has format {} and can only be {what} by a library of format {needed} or later; this library \
             has format {FORMAT}",
            self.format
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_have_a_limit_each() {
        let may = |min_reader, min_writer| {
            let format = Format { format: 9, min_reader, min_writer };
            (format.check_reader().is_ok(), format.check_writer().is_ok())
        };
        assert_eq!(may(FORMAT, FORMAT), (true, true));
        assert_eq!(may(FORMAT, FORMAT + 1), (true, false));
        assert_eq!(may(FORMAT + 1, FORMAT), (false, true));
    }
}
