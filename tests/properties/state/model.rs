//! The reference: a list of all tasks that ever existed, with plain fields. It keeps no running counts.

use tokio::time::Instant;

use crate::report::{NotDone, Outcome, TaskInfo, TaskState};
use crate::request::account::Readers;
use crate::request::hand_off::Which;
use crate::request::state::stop::Stop;
use crate::request::state::{Phase, Spawns};
use crate::request::task::{Kind, Parent, TaskSpec};

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) phase: Phase,
    /// By id.
    pub(crate) tasks: Vec<Task>,
    /// What was late and is not reported.
    pub(crate) pending_callbacks: usize,
    /// The waker that is kept.
    pub(crate) waker: Option<usize>,
    /// It was kept for limits alone.
    pub(crate) for_limits: bool,
    pub(crate) is_listed: bool,
    pub(crate) announces_ends: bool,
    pub(crate) has_span: bool,
    pub(crate) has_token: bool,
    pub(crate) cancelled: bool,
    /// The id of the task whose end left none that is waited for.
    pub(crate) last: Option<usize>,
    /// There are limits or failures, or a token was asked for.
    pub(crate) has_rare: bool,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) spec: TaskSpec,
    pub(crate) slot: u32,
    pub(crate) started: Option<Instant>,
    pub(crate) handle: Handle,
    /// It did not complete, and that was written down.
    pub(crate) failed: Option<TaskInfo>,
    /// It has counted out.
    pub(crate) has_ended: bool,
    pub(crate) report: Report,
    /// A report counted it when it was listed.
    pub(crate) was_counted: bool,
    /// What observers were called about.
    pub(crate) late_end: bool,
    pub(crate) hand_off: HandOff,
    /// Its hand-off has succeeded.
    pub(crate) handed_off: bool,
    /// Its hand-off has failed by itself.
    pub(crate) hand_off_failed: bool,
    /// Its hand-off has begun before its own handle was attached, which is still to come.
    pub(crate) own_handle_to_come: bool,
}

/// The hand-off of a task that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandOff {
    None,
    Armed {
        stopped: Option<NotDone>,
        /// The task is a blocking closure.
        is_closure: bool,
    },
    /// `own`: the state in which the task itself ended.
    Begun {
        why: NotDone,
        own: TaskState,
        /// The end of a shutdown has stopped the hand-off.
        is_stopped: bool,
    },
    Refused,
}

/// What a stop of tasks does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The ids of the tasks to abort.
    pub(crate) handles: Vec<u32>,
    /// The ids of the closures that are handed off, and why.
    pub(crate) hand_offs: Vec<(u32, NotDone)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handle {
    ToCome,
    /// To be aborted as soon as it comes.
    AbortPending,
    Attached,
    None,
}

/// What the one report of the request has of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is to come, or has the task as ended.
    Counts,
    Unfinished {
        is_logged: bool,
    },
    Nothing,
}

impl Task {
    pub(crate) fn is_alive(&self) -> bool {
        !self.has_ended && self.failed.is_none()
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        !self.has_ended && matches!(self.spec.kind, Kind::Ordinary | Kind::Required)
    }

    pub(crate) fn is_due(&self, which: Which) -> bool {
        let is_armed = matches!(self.hand_off, HandOff::Armed { stopped: None, .. });
        let is_one = match which {
            Which::All => true,
            Which::Awaited => self.was_counted,
            Which::NotAwaited => !self.was_counted,
        };
        is_armed && self.is_alive() && is_one
    }

    /// The hand-off takes the place of the task.
    pub(crate) fn begin_hand_off(&mut self, why: NotDone, own: TaskState) {
        self.own_handle_to_come = matches!(self.handle, Handle::ToCome | Handle::AbortPending);
        self.handle = Handle::ToCome;
        self.hand_off = HandOff::Begun {
            why,
            own,
            is_stopped: false,
        };
    }

    pub(crate) fn is_unfinished(&self) -> bool {
        self.is_alive() && self.report != Report::Nothing
    }

    pub(crate) fn info(&self, now: Instant) -> TaskInfo {
        self.spec
            .info(TaskState::Running, None, self.started, Some(now))
    }
}

impl Model {
    pub(crate) fn new(phase: Phase) -> Self {
        Self {
            phase,
            tasks: Vec::new(),
            pending_callbacks: 0,
            waker: None,
            for_limits: false,
            is_listed: false,
            announces_ends: false,
            has_span: false,
            has_token: false,
            cancelled: false,
            last: None,
            has_rare: false,
        }
    }

    pub(crate) fn count(&self, which: impl Fn(&Task) -> bool) -> usize {
        self.tasks.iter().filter(|task| which(task)).count()
    }

    pub(crate) fn waited_for(&self) -> usize {
        self.count(Task::is_waited_for)
    }

    pub(crate) fn required(&self) -> usize {
        self.count(|task| {
            task.is_waited_for()
                && task.spec.kind == Kind::Required
                && task.report != Report::Nothing
        })
    }

    pub(crate) fn detached(&self) -> usize {
        self.count(|task| !task.has_ended && task.spec.kind == Kind::Detached)
    }

    /// The wait for the tokio-util tracker.
    pub(crate) fn tracker_wait(&self) -> Option<usize> {
        let is_tracker = |task: &Task| !task.has_ended && task.spec.kind == Kind::Tracker;
        self.tasks.iter().position(is_tracker)
    }

    pub(crate) fn spawns(&self) -> Option<Spawns> {
        match self.phase {
            Phase::Released(spawns) | Phase::Over(spawns) => Some(spawns),
            _ => None,
        }
    }

    /// What becomes of a task that is spawned now: its kind, what the report makes of it, and whether it is late.
    pub(crate) fn admission(&self, kind: Kind, parent: Parent) -> (Kind, Report, bool) {
        if kind == Kind::Tracker {
            return (kind, Report::Nothing, false);
        }
        let spawns = self.spawns();
        let is_after = parent == Parent::Task && spawns == Some(Spawns::Late);
        if kind == Kind::Detached
            || self.phase == Phase::Process
            || parent == Parent::DetachedTask
            || is_after
        {
            return (Kind::Detached, Report::Nothing, false);
        }
        match spawns {
            None => (kind, Report::Counts, false),
            Some(spawns) => (kind, Report::Nothing, spawns == Spawns::Late),
        }
    }

    /// Whether the request leaves the list now, or waits for the tracker instead.
    pub(crate) fn leaves(&mut self, in_tracker: bool) -> (bool, bool) {
        let is_over = matches!(self.phase, Phase::Over(_) | Phase::Process);
        let is_idle = self.waited_for() + self.detached() == 0 && self.tracker_wait().is_none();
        if !is_over || !is_idle || self.pending_callbacks > 0 || !self.is_listed {
            return (false, false);
        }
        if in_tracker {
            return (false, true);
        }
        self.is_listed = false;
        if self.phase == Phase::Over(Spawns::WithHandler) {
            self.phase = Phase::Over(Spawns::Late);
        }
        (true, false)
    }

    /// Which tasks are stopped.
    pub(crate) fn stop(&mut self, stop: Stop, which: impl Fn(u32, &Task) -> bool) -> Stopped {
        let mut stopped = Stopped::default();
        for (id, task) in (0..).zip(&mut self.tasks) {
            if !task.is_alive() || !which(id, task) {
                continue;
            }
            let is_attached = task.handle == Handle::Attached;
            match (task.hand_off, stop) {
                (HandOff::Begun { .. }, Stop::HandOff(_)) => continue,
                (
                    HandOff::Armed {
                        stopped: before,
                        is_closure,
                    },
                    Stop::HandOff(why),
                ) => {
                    let why = before.unwrap_or(why);
                    if is_closure {
                        stopped.hand_offs.push((id, why));
                        stopped.handles.extend(is_attached.then_some(id));
                        task.begin_hand_off(why, TaskState::Aborted);
                        continue;
                    }
                    let stopped = Some(why);
                    task.hand_off = HandOff::Armed {
                        stopped,
                        is_closure,
                    };
                }
                (HandOff::Armed { .. }, Stop::EndOfShutdown) => task.hand_off = HandOff::Refused,
                (HandOff::None | HandOff::Refused, _) => {}
                (HandOff::Begun { why, own, .. }, Stop::EndOfShutdown) => {
                    task.hand_off = HandOff::Begun {
                        why,
                        own,
                        is_stopped: true,
                    };
                }
            }
            match task.handle {
                Handle::ToCome => task.handle = Handle::AbortPending,
                Handle::Attached => stopped.handles.push(id),
                Handle::AbortPending | Handle::None => {}
            }
        }
        stopped
    }

    pub(crate) fn stop_unfinished(&mut self, why: NotDone) -> Stopped {
        let is_left = self.phase == Phase::Leaving;
        self.stop(Stop::HandOff(why), |_, task| {
            task.is_unfinished() && !(is_left && task.spec.is_handler)
        })
    }

    pub(crate) fn release(&mut self, outcome: Outcome) {
        let required_failed = self.fails(outcome);
        let has_handler = self.count(|task| task.is_alive() && task.spec.is_handler) > 0;
        self.phase = Phase::Released(match outcome {
            Outcome::Upgraded => Spawns::Upgraded,
            Outcome::Drained => Spawns::Late,
            _ if has_handler => Spawns::WithHandler,
            _ => Spawns::Late,
        });
        for task in &mut self.tasks {
            if task.is_unfinished() {
                task.report = Report::Unfinished {
                    is_logged: required_failed && outcome != Outcome::Dropped,
                };
            }
        }
    }

    /// Whether the report is made, of a request that has drained.
    pub(crate) fn is_read(&self, readers: Readers) -> bool {
        let is_read = match readers {
            Readers::Some => true,
            Readers::Subscriber { failed, .. } if self.required_failed() => failed,
            Readers::Subscriber { ok, .. } => ok,
        };
        is_read && self.is_listed
    }

    /// Those that the report has as ended, and that did not complete, by the order of their ends.
    pub(crate) fn failures<'a>(&'a self, order: &'a [usize]) -> Vec<&'a TaskInfo> {
        let failures = order.iter().map(|id| &self.tasks[*id]);
        let failures = failures.filter(|task| task.report == Report::Counts);
        failures.filter_map(|task| task.failed.as_ref()).collect()
    }

    pub(crate) fn required_failed(&self) -> bool {
        self.count(|task| {
            task.failed.is_some()
                && task.report == Report::Counts
                && task.spec.kind == Kind::Required
        }) > 0
    }

    /// Whether the response fails.
    pub(crate) fn fails(&self, outcome: Outcome) -> bool {
        let is_late = matches!(outcome, Outcome::DeadlineExceeded | Outcome::Shutdown);
        self.required_failed() || (is_late && self.required() > 0)
    }

    /// When the window opened, while it is open.
    pub(crate) fn opened(&self) -> Option<Instant> {
        match self.phase {
            Phase::Window { opened, .. } => Some(opened),
            _ => None,
        }
    }

    /// How many tasks were aborted or have panicked, without those whose hand-off has failed by itself.
    pub(crate) fn stopped(&self) -> usize {
        let failed = self.count(|task| {
            let failed = task.failed.as_ref();
            let is_stop =
                |info: &TaskInfo| matches!(info.state, TaskState::Aborted | TaskState::Panicked);
            task.hand_off_failed && task.report == Report::Counts && failed.is_some_and(is_stop)
        });
        self.ended_as(TaskState::Aborted) + self.ended_as(TaskState::Panicked) - failed
    }

    pub(crate) fn ended_as(&self, state: TaskState) -> usize {
        self.count(|task| {
            let failed = task.failed.as_ref();
            task.report == Report::Counts && failed.is_some_and(|info| info.state == state)
        })
    }

    pub(crate) fn handed_off(&self) -> usize {
        self.count(|task| task.report == Report::Counts && task.handed_off)
    }
}
