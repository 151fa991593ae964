//! Deadlines in Unix time.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::source::Source;

/// Milliseconds of Unix time that a closure finds in the request, as platforms tell them: turned into
/// tokio's clock when the request arrives. What is past is ignored.
pub fn unix_millis<R: 'static>(
    read: impl Fn(&R) -> Option<u64> + Send + Sync + 'static,
) -> Source<R> {
    Source::new("unix-millis", move |request| {
        read(request).and_then(from_unix_millis)
    })
}

/// `None` if the clock cannot tell it. What is past is now.
pub(super) fn from_unix_millis(millis: u64) -> Option<Instant> {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now().checked_add(left)
}
