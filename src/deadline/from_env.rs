//! A timeout from an environment variable.

use std::env;
use std::time::Duration;

use tokio::time::Instant;

use super::source::Source;
use crate::trace;

/// Returns a source for a request timeout in an environment variable, in whole seconds from the arrival of the request.
/// The variable may be `CLOUD_RUN_TIMEOUT_SECONDS`, which some environments set, or one that your deployment sets from
/// the platform's own setting. The time of the platform began a little earlier, so set a [`margin`](Source::margin).
///
/// The variable is read once, in this call. If it is not set, is not a number above zero, or is too long for the clock,
/// the source has no deadline.
pub fn from_env<R: 'static>(variable: &'static str) -> Source<R> {
    let seconds = env::var(variable)
        .ok()
        .and_then(|value| value.trim().parse().ok());
    let timeout = seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .filter(|timeout| Instant::now().checked_add(*timeout).is_some());
    if timeout.is_none() {
        trace::deadline_ignored(
            variable,
            "the variable is not set, or is not a number of seconds",
        );
    }
    Source::new(variable, move |_| Instant::now().checked_add(timeout?))
}
