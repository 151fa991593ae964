//! The warnings of a layer, and how often they are logged.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::throttle::Throttle;

/// The warnings of one layer. Its clones and its services share them.
#[derive(Debug)]
pub(crate) struct Warnings {
    /// The place where the layer got a handle, or where its own handle was taken, for the first time.
    handle: OnceLock<&'static Location<'static>>,
    /// True once the warning about an unused handle was logged.
    unused_handle_logged: AtomicBool,
    lost_handlers: Throttle,
}

impl Warnings {
    /// Creates the warnings of a layer that got its handle from the caller at `location`.
    pub(crate) fn tracked_from(location: &'static Location<'static>) -> Self {
        let warnings = Self::default();
        warnings.note_handle_taken(location);
        warnings
    }

    /// Notes that a handle of the layer is in use. The first place is kept.
    pub(crate) fn note_handle_taken(&self, location: &'static Location<'static>) {
        self.handle.get_or_init(|| location);
    }

    /// Notes a request that another handle tracks, and not the one of this layer. For the first such request, returns
    /// the place where the handle of this layer was taken, if it was taken.
    pub(crate) fn note_missed_request(&self) -> Option<&'static Location<'static>> {
        let location = self.handle.get()?;
        let is_first = !self.unused_handle_logged.swap(true, Ordering::Relaxed);
        is_first.then_some(*location)
    }

    /// Notes a handler that was dropped before it had answered. If a warning is due, and `is_enabled` returns true,
    /// returns how many other handlers were dropped since the last warning. `is_enabled` is called only if a warning is
    /// due.
    pub(crate) fn note_lost_handler(&self, is_enabled: impl FnOnce() -> bool) -> Option<usize> {
        self.lost_handlers.pass(Instant::now(), is_enabled)
    }
}

impl Default for Warnings {
    fn default() -> Self {
        Self {
            handle: OnceLock::new(),
            unused_handle_logged: AtomicBool::new(false),
            lost_handlers: Throttle::new(Duration::from_secs(60)),
        }
    }
}
