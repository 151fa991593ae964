//! What a layer warns of, and how often.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::throttle::Throttle;

/// The warnings of one layer, with its clones and its services.
#[derive(Debug)]
pub(crate) struct Warnings {
    /// Where the layer was given a handle, or its own was taken, for the first time.
    handle: OnceLock<&'static Location<'static>>,
    /// The warning that the handle sees nothing was logged.
    is_nested: AtomicBool,
    lost_handlers: Throttle,
}

impl Warnings {
    /// For a layer whose handle is not its own.
    pub(crate) fn tracked_from(location: &'static Location<'static>) -> Self {
        let warnings = Self::default();
        warnings.note_handle_taken(location);
        warnings
    }

    pub(crate) fn note_handle_taken(&self, location: &'static Location<'static>) {
        self.handle.get_or_init(|| location);
    }

    /// Notes a request that only another handle sees. Returns the place where this layer's handle was taken, if it was
    /// and this is the first such request.
    pub(crate) fn note_missed_request(&self) -> Option<&'static Location<'static>> {
        let location = self.handle.get()?;
        let is_first = !self.is_nested.swap(true, Ordering::Relaxed);
        is_first.then_some(*location)
    }

    /// Notes a handler that was dropped before it had answered. If it is time for a warning, and `may` returns true,
    /// returns how many others there were since the last one. `may` is called only if it is time.
    pub(crate) fn note_lost_handler(&self, may: impl FnOnce() -> bool) -> Option<usize> {
        self.lost_handlers.pass(Instant::now(), may)
    }
}

impl Default for Warnings {
    fn default() -> Self {
        Self {
            handle: OnceLock::new(),
            is_nested: AtomicBool::new(false),
            lost_handlers: Throttle::new(Duration::from_secs(60)),
        }
    }
}
