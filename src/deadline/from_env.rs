//! A time limit that stands in the environment.

use std::env;
use std::time::Duration;

use tokio::time::Instant;

use super::source::Source;
use crate::trace;

/// A request timeout in whole seconds, counted from the arrival of the request, that stands in an
/// environment variable: such as `CLOUD_RUN_TIMEOUT_SECONDS`, or one that your deployment sets from
/// the platform's own setting.
///
/// The variable is read once, here. If it is not set, or is no number above zero, the source knows of
/// no deadline, and neither does it with one that is too far away for the clock.
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
            "the variable says no number of seconds that the clock can tell",
        );
    }
    Source::new(variable, move |_| Instant::now().checked_add(timeout?))
}
