//! The timer of a wait.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::deadline::schedule::AGES;

/// A timer that is made when there is something to wait for.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// There is nothing to wait for.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }

    /// Ready at this moment, or ages after `now` if that is earlier.
    pub(super) fn poll(&mut self, at: Instant, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        // A timer cannot bear the last instants of the clock.
        let at = now.checked_add(AGES).map_or(at, |ages| at.min(ages));
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}
