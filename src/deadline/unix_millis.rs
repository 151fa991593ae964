//! Deadlines in Unix time.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::source::Source;
use crate::trace;

const NAME: &str = "unix-millis";

/// Milliseconds of Unix time that a closure finds in the request, as platforms tell them: turned into
/// tokio's clock when the request arrives. What is past is ignored; `None` knows of no deadline.
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

/// `None` if it is past, or the clock cannot tell it.
pub(super) fn from_unix_millis(millis: u64) -> Option<Instant> {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    let left = at.duration_since(SystemTime::now()).ok()?;
    Instant::now().checked_add(left)
}
