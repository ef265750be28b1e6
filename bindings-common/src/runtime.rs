//! The tokio runtime of a native module, with one setting for all languages.

use std::fmt;
use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::runtime::Builder;

/// The environment variable for the number of threads: 1 to 1,024.
pub const THREADS_VARIABLE: &str = "STREAMKEEP_THREADS";

const MOST_THREADS: usize = 1_024;

/// Without a setting there are as many threads as processors, but at least this many. Few are enough, because database
/// work waits far more than it computes.
const FEWEST_BY_DEFAULT: usize = 2;
const MOST_BY_DEFAULT: usize = 4;

/// A setting of the environment that cannot be used. Its error code is `config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongSetting(String);

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongSetting {}

/// A builder of the runtime, with the number of threads that the environment sets, or else 2 to 4 by the number of
/// processors. All threads are named `streamkeep`.
///
/// # Errors
///
/// [`THREADS_VARIABLE`] is set and is not a number from 1 to 1,024.
pub fn builder() -> Result<Builder, WrongSetting> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads(std::env::var_os(THREADS_VARIABLE))?).thread_name("streamkeep").enable_all();
    Ok(builder)
}

fn threads(setting: Option<std::ffi::OsString>) -> Result<usize, WrongSetting> {
    let Some(setting) = setting else {
        let processors = available_parallelism().map_or(FEWEST_BY_DEFAULT, NonZero::get);
        return Ok(processors.clamp(FEWEST_BY_DEFAULT, MOST_BY_DEFAULT));
    };
    match setting.to_str().map(str::parse) {
        Some(Ok(threads @ 1..=MOST_THREADS)) => Ok(threads),
        _ => Err(WrongSetting(format!("{THREADS_VARIABLE} must be a number of threads from 1 to {MOST_THREADS}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_threads_is_taken_and_anything_else_is_refused() {
        assert_eq!(threads(Some("3".into())), Ok(3));
        assert_eq!(threads(Some("1024".into())), Ok(1_024));
        for wrong in ["", "0", "1025", "many", "-1", "2.5", " 2"] {
            let refused = threads(Some(wrong.into())).map_err(|error| error.to_string());
            assert_eq!(
                refused,
                Err("STREAMKEEP_THREADS must be a number of threads from 1 to 1024".into()),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn without_a_setting_there_are_two_to_four_threads() {
        assert!((2..=4).contains(&threads(None).unwrap_or_default()));
    }
}
