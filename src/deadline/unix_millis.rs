//! Deadlines in Unix time.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::source::Source;
use crate::trace;

const NAME: &str = "unix-millis";

/// Returns a source for a deadline in milliseconds of Unix time, which a closure finds in the request. Platforms pass
/// deadlines in this form. It is converted to tokio's clock when the request arrives. A deadline in the past is
/// ignored. `None` is no deadline.
pub fn unix_millis<R: 'static>(
    read: impl Fn(&R) -> Option<u64> + Send + Sync + 'static,
) -> Source<R> {
    Source::new(NAME, move |request| {
        let at = from_unix_millis(read(request)?);
        if at.is_none() {
            trace::deadline_ignored(NAME, "it is past, or too far away");
        }
        at
    })
}

/// Returns `None` if the instant has passed, or is too far away for the clock.
pub(super) fn from_unix_millis(millis: u64) -> Option<Instant> {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    let left = at.duration_since(SystemTime::now()).ok()?;
    Instant::now().checked_add(left)
}
