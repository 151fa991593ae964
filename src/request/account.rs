//! What a wait finds in a request, and what a report contains about its tasks.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::effects::Effects;
use super::task::TaskSpec;
use crate::process::registry::Registration;
use crate::report::{Outcome, Tally, TaskInfo, TaskState};

/// The result of a look at the tasks of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// True if tasks of the request are alive.
    pub(crate) own: bool,
    /// True if tasks in the tokio-util tracker are alive.
    pub(crate) in_tracker: bool,
    /// True if a required task has failed. Final if no task is alive.
    pub(crate) required_failed: bool,
}

impl Look {
    #[inline]
    pub(crate) fn is_busy(self) -> bool {
        self.own || self.in_tracker
    }
}

/// What a report contains about the tasks, except for the stragglers. Small, because it is moved several times.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) tally: Tally,
    /// The task whose end left none alive while a window was open.
    pub(crate) last: Option<Last>,
    /// True if a detached task was spawned.
    pub(crate) has_detached: bool,
    /// `None` for most requests.
    pub(crate) incomplete: Option<Box<Incomplete>>,
}

/// The task that ended last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(super) id: u32,
    pub(super) spec: TaskSpec,
    pub(crate) started: Option<Instant>,
    pub(super) state: TaskState,
}

impl Last {
    /// Returns the description of the task, without its age. The report computes the age from the start.
    #[inline]
    pub(crate) fn info(self) -> TaskInfo {
        self.spec.info(self.state, None, None, None)
    }
}

/// What a report contains about tasks that did not complete, that had a computed name, or whose token was cancelled.
#[derive(Debug)]
pub(crate) struct Incomplete {
    /// The last task, if it did not complete.
    pub(crate) last: Option<TaskInfo>,
    pub(crate) failures: Vec<TaskInfo>,
    /// The name of the last task, if it was computed.
    pub(crate) last_name: Option<Arc<str>>,
    /// True if the request's token was cancelled.
    pub(crate) cancelled: bool,
}

/// What a report needs when the request is released, or earlier if a report is made before the release.
#[derive(Debug, Default)]
pub(crate) struct ReleaseState {
    /// True if a required task has failed, or was alive at the deadline.
    pub(crate) required_failed: bool,
    /// `None` if nothing reads it.
    pub(crate) account: Option<Account>,
    /// The tasks that are alive. Empty if nothing reads them.
    pub(crate) stragglers: Vec<TaskInfo>,
    /// The waker of the wait, which is over. The caller drops it outside of the lock.
    pub(crate) waker: Option<Waker>,
}

/// What reads the report of a request that has drained.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readers {
    /// At least one.
    Some,
    /// The observers of nested layers, if there are any. Also the subscriber: if `failed`, for a request whose required
    /// task has failed; if `ok`, for any other request.
    Subscriber { ok: bool, failed: bool },
}

/// A request that was released with no task alive, and that is to be reported.
#[derive(Debug)]
pub(crate) struct Drained {
    /// True if a required task has failed.
    pub(crate) required_failed: bool,
    pub(crate) account: Account,
    /// When the drain window opened, if it was open.
    pub(crate) opened: Option<Instant>,
    /// True if the request has no span, and no observers except those of its layer.
    pub(crate) is_plain: bool,
}

/// The result of an attempt to end a request.
#[derive(Debug)]
pub(crate) enum Finish<H> {
    /// A task is alive. Nothing has changed.
    NotIdle {
        /// When the drain window opened, if it is open.
        opened: Option<Instant>,
    },
    /// The request is released, and is to be reported.
    Released {
        drained: Drained,
        /// The caller drops it outside of the lock, here and below.
        waker: Option<Waker>,
    },
    /// The request is over, because nothing reads a report.
    Over {
        required_failed: bool,
        /// If `Some`, the request leaves the registry. Nothing else is left to do.
        leave: Option<Registration>,
    },
    /// The request is over, and its effects are to be carried out.
    OverWith {
        required_failed: bool,
        effects: Effects<H>,
        waker: Option<Waker>,
    },
}

/// What a report needs to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportQuery {
    pub(crate) outcome: Outcome,
    /// The time of the report, from which the ages of unfinished tasks are computed. `None` if nothing reads the
    /// report.
    pub(crate) at: Option<Instant>,
}
