//! What happened inside a request, counted by the model itself.

use tokio::time::Instant;
use tower_task_tracker::NotDone;

use super::alive::Fate;
use super::item::Item;

/// All that is recorded of a request.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) facts: Facts,
    /// The moment at which the handler answered.
    pub(crate) answered: Option<Moment>,
    /// What the inner body yielded, and when.
    pub(crate) yielded: Vec<(Instant, Item)>,
    /// Each hand-off that began.
    pub(crate) hand_offs: Vec<Begun>,
    /// Whether the client polls the body past its end.
    pub(crate) is_past_end: bool,
}

/// A hand-off that began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) at: Instant,
    pub(crate) why: NotDone,
    /// How the task ended. `None` if it completed or is alive, or if another hand-off of it has begun.
    pub(crate) fate: Option<Fate>,
    pub(crate) is_abort_planned: bool,
    pub(crate) is_detached: bool,
}

/// The facts at an instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) facts: Facts,
}

/// Detached tasks are not counted among the others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts {
    pub(crate) spawned: usize,
    pub(crate) alive: usize,
    /// When the number of tasks alive last became zero.
    pub(crate) none_alive_since: Option<Instant>,
    pub(crate) fates: Fates,
    pub(crate) detached: usize,
    pub(crate) detached_alive: usize,
    pub(crate) required_alive: usize,
    pub(crate) no_required_since: Option<Instant>,
    pub(crate) required_failed: bool,
    /// The number of tasks that were dropped before their end, although their plan does not abort them.
    pub(crate) stopped: usize,
    /// When the hook ended, which is awaited before the release.
    pub(crate) hooked: Option<Instant>,
    pub(crate) body_dropped: Option<Instant>,
}

/// How many tasks ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fates {
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) panicked: usize,
    pub(crate) dropped: usize,
    pub(crate) handed_off: usize,
}

impl Facts {
    /// Whether a required task has failed or is not done.
    pub(crate) fn is_required_missing(&self) -> bool {
        self.required_failed || self.required_alive > 0
    }
}

impl Fates {
    /// Whether no count is greater than the later one.
    pub(crate) fn are_before(&self, later: &Self) -> bool {
        self.completed <= later.completed
            && self.failed <= later.failed
            && self.panicked <= later.panicked
            && self.dropped <= later.dropped
            && self.handed_off <= later.handed_off
    }
}
