//! What a layer warns of by itself, and how often.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The warnings of one layer, with its clones and its services.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Where the layer was given a handle, or its own was taken, for the first time.
    handle: OnceLock<&'static Location<'static>>,
    /// It was warned that the handle sees nothing.
    is_nested: AtomicBool,
    lost_handlers: Pace,
}

impl Notices {
    /// For a layer whose handle is not its own.
    pub(crate) fn tracked_from(location: &'static Location<'static>) -> Self {
        let notices = Self::default();
        notices.handle_is_taken(location);
        notices
    }

    pub(crate) fn handle_is_taken(&self, location: &'static Location<'static>) {
        self.handle.get_or_init(|| location);
    }

    /// A request passes that another handle sees. The place where this one was taken, if it was and this is
    /// the first such request.
    pub(crate) fn handle_sees_nothing(&self) -> Option<&'static Location<'static>> {
        let location = self.handle.get()?;
        let is_first = !self.is_nested.swap(true, Ordering::Relaxed);
        is_first.then_some(*location)
    }

    /// A handler was dropped before it had answered. How many others were since the last warning, if it is
    /// time for one and `may` agrees, which is asked only then.
    pub(crate) fn handler_is_lost(&self, may: impl FnOnce() -> bool) -> Option<usize> {
        self.lost_handlers.take(Instant::now(), may)
    }
}

/// One in a minute, at most. Relaxed: it orders nothing.
#[derive(Debug, Default)]
struct Pace {
    /// When it was asked first. All times count from here, on tokio's clock.
    began: OnceLock<Instant>,
    /// Not before this many milliseconds have passed.
    next: AtomicU64,
    suppressed: AtomicUsize,
}

const PAUSE: Duration = Duration::from_secs(60);

impl Pace {
    fn take(&self, now: Instant, may: impl FnOnce() -> bool) -> Option<usize> {
        let began = *self.began.get_or_init(|| now);
        let passed = now.saturating_duration_since(began);
        let next = self.next.load(Ordering::Relaxed);
        if millis(passed) < next {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if !may() {
            return None;
        }
        let later = millis(passed.saturating_add(PAUSE));
        let is_ours = self
            .next
            .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed);
        if is_ours.is_err() {
            // Another thread was quicker.
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
