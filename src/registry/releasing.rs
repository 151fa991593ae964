//! The release of a request, and the wait for it.

use std::task::{Context, Poll};

use super::Registry;
use super::anonymous::Wait;

impl Registry {
    /// Wakes whoever waits, when a limit of the wait has changed.
    pub(crate) fn listen(&self, cx: &mut Context<'_>) {
        self.live.listen(cx);
    }

    pub(crate) fn is_released(&self) -> bool {
        self.live.is_released()
    }

    /// Releases if no task is alive, and tells how many had been counted in by then.
    pub(crate) fn try_release(&self) -> Option<usize> {
        if self.anonymous().is_some_and(|a| !a.tracker().is_empty()) {
            return None;
        }
        self.live.try_release()
    }

    /// Releases if no task was ever counted in.
    #[cfg(feature = "http")]
    pub(crate) fn try_release_unused(&self) -> bool {
        self.anonymous().is_none() && self.live.try_release_unused()
    }

    pub(crate) fn release(&self) {
        self.live.release();
    }

    /// Ready when no task is alive. It is no release: the next moment may add one.
    pub(crate) fn poll_none_alive(&self, wait: &mut Wait, cx: &mut Context<'_>) -> Poll<()> {
        let own = self.live.poll_none_alive(cx);
        match self.anonymous() {
            Some(anonymous) if anonymous.poll_empty(wait, cx).is_pending() => {
                // With no task of its own alive it would not hear of a deadline that is moved.
                self.live.listen(cx);
                Poll::Pending
            }
            _ => own,
        }
    }
}
