//! What a wait finds in a request, and what a report asks of its tasks.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::effects::Effects;
use super::task::TaskSpec;
use crate::process::registry::Registration;
use crate::report::{Outcome, Tally, TaskInfo, TaskState};

/// What a wait finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Tasks of the request are alive.
    pub(crate) own: bool,
    /// Tasks in the tokio-util tracker are alive.
    pub(crate) in_tracker: bool,
    /// A required task has failed. Final if none is alive.
    pub(crate) required_failed: bool,
}

impl Look {
    #[inline]
    pub(crate) fn is_busy(self) -> bool {
        self.own || self.in_tracker
    }
}

/// What a report has of the tasks, but for its stragglers. Small, because it is moved about.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) tally: Tally,
    /// The task whose end left none alive while a window was open.
    pub(crate) last: Option<Last>,
    pub(crate) has_detached: bool,
    /// What most requests do not have.
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
    /// Without its age, which is to be computed from its start.
    #[inline]
    pub(crate) fn info(self) -> TaskInfo {
        self.spec.info(self.state, None, None, None)
    }
}

/// What a report has of tasks that did not complete, or were asked to stop.
#[derive(Debug)]
pub(crate) struct Incomplete {
    /// The last task, if it did not complete.
    pub(crate) last: Option<TaskInfo>,
    pub(crate) failures: Vec<TaskInfo>,
    /// The name of the last task, if it was computed.
    pub(crate) last_name: Option<Arc<str>>,
    pub(crate) cancelled: bool,
}

/// How things stand when a request is released.
#[derive(Debug, Default)]
pub(crate) struct ReleaseState {
    /// A required task failed, or was late for the deadline.
    pub(crate) required_failed: bool,
    /// `None` if it is not to be read.
    pub(crate) account: Option<Account>,
    /// The tasks that are alive, if that is to be read.
    pub(crate) stragglers: Vec<TaskInfo>,
    /// To be dropped outside of the lock: nothing waits any longer.
    pub(crate) waker: Option<Waker>,
}

/// What reads the report of a request that has drained.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readers {
    /// At least one.
    Some,
    /// The observers of nested layers, if there are any, and the subscriber: `ok` if nothing has failed, and `failed`
    /// if a required task has.
    Subscriber { ok: bool, failed: bool },
}

/// A request was released with no task alive, and is to be reported.
#[derive(Debug)]
pub(crate) struct Drained {
    /// A required task has failed.
    pub(crate) required_failed: bool,
    pub(crate) account: Account,
    /// When the drain window opened, if it was open.
    pub(crate) opened: Option<Instant>,
    /// It has no span, and no observers but those of its layer.
    pub(crate) is_plain: bool,
}

/// What came of the try to end a request.
#[derive(Debug)]
pub(crate) enum Finish<H> {
    /// A task is alive.
    NotIdle {
        /// When the drain window opened, if it is open.
        opened: Option<Instant>,
    },
    /// It is released, and to be reported.
    Released {
        drained: Drained,
        /// To be dropped outside of the lock, here and below.
        waker: Option<Waker>,
    },
    /// It is over: nothing reads a report.
    Over {
        required_failed: bool,
        /// The request leaves the registry: all that there is to be done.
        leave: Option<Registration>,
    },
    /// It is over, and there is more to be done.
    OverWith {
        required_failed: bool,
        effects: Effects<H>,
        waker: Option<Waker>,
    },
}

/// What a report asks of the tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportQuery {
    pub(crate) outcome: Outcome,
    /// The time of the report, for the ages of those that are unfinished; `None` if it is not to be read.
    pub(crate) at: Option<Instant>,
}
