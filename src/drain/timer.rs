//! The timer of a wait.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::deadline::schedule::FAR_FUTURE;

/// A timer that is made at its first poll.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Drops the timer. The next poll makes a new one.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }

    /// Ready at `at` on tokio's clock, or at `now` plus [`FAR_FUTURE`] if that is earlier.
    pub(super) fn poll(&mut self, at: Instant, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        // tokio's timer does not work with instants close to the end of the clock's range.
        let at = now.checked_add(FAR_FUTURE).map_or(at, |ages| at.min(ages));
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}
