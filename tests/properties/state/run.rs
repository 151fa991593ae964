//! Takes the steps of a plan with the state and with the model, and compares the two.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::time::Instant;

use crate::model::{HandOff, Handle, Model, Report, Stopped, Task};
use crate::process::registry::{Registration, Registry};
use crate::report::{NotDone, Outcome, TaskInfo, TaskState};
use crate::request;
use crate::request::account::{Account, Drained, Finish, Look, Readers, ReleaseState, ReportQuery};
use crate::request::effects::{Attached, Completed, Effects, Stops};
use crate::request::hand_off::{Closure, HandOffFn, Which};
use crate::request::state::hand_off::{EndOfArmed, NotCompleted};
use crate::request::state::stop::Stop;
use crate::request::state::{Phase, Spawns, State};
use crate::request::task::{Admitted, Begins, Kind, Parent, Refused, TaskSpec, Ticket};
use crate::settings::TaskSpans;
use crate::steps::{Life, Plan, Step};
use crate::trace::Span;

type Checked<T = ()> = Result<T, TestCaseError>;

struct Run {
    state: State<u32>,
    model: Model,
    registry: Registry<()>,
    wakers: Vec<Waker>,
    now: Instant,
    /// The ids of the tasks that did not complete, in the order of their ends.
    order: Vec<usize>,
    /// What the report of the release has.
    report: Option<Reported>,
}

/// The one report of a request.
#[derive(Debug)]
struct Reported {
    spawned: usize,
    /// The ids.
    stragglers: Vec<usize>,
}

/// What a transition is to leave to be done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    wake: Option<usize>,
    handle: Option<u32>,
    span: bool,
    leave: bool,
    has_changed: bool,
    wait_for_tracker: bool,
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

pub(crate) fn run(plan: &Plan) -> Checked {
    let mut run = Run {
        state: State::new(phase(&plan.first)),
        model: Model::new(phase(&plan.first)),
        registry: Registry::default(),
        wakers: Vec::new(),
        now: Instant::now(),
        order: Vec::new(),
        report: None,
    };
    run.live(&plan.first)?;
    if plan.first.is_process || plan.second.is_process {
        return Ok(());
    }
    // The next request, in the same memory.
    run.state.strip();
    run.state.renew();
    run.model = Model::new(Phase::Running);
    run.order.clear();
    run.report = None;
    prop_assert!(run.state.is_pristine());
    run.compare()?;
    run.live(&plan.second)
}

fn phase(life: &Life) -> Phase {
    if life.is_process {
        Phase::Process
    } else {
        Phase::Running
    }
}

impl Run {
    fn live(&mut self, life: &Life) -> Checked {
        for step in &life.steps {
            self.step(step)?;
            self.compare()?;
        }
        self.come_to_an_end(life.is_process)?;
        self.check_report()
    }

    /// All that is alive ends, and everything is reported.
    fn come_to_an_end(&mut self, is_process: bool) -> Checked {
        if let Some(id) = self.model.tracker_wait() {
            self.end(id, false)?;
        }
        for id in 0..self.model.tasks.len() {
            if !self.model.tasks[id].has_ended {
                self.end(id, false)?;
                self.compare()?;
            }
        }
        if !is_process {
            if self.model.spawns().is_none() {
                self.step(&Step::ReleaseIfIdle { in_tracker: false })?;
            }
            self.step(&Step::Conclude { in_tracker: false })?;
        }
        while self.model.pending_callbacks > 0 {
            self.step(&Step::Noticed { in_tracker: false })?;
            self.compare()?;
        }
        self.step(&Step::LeaveIfOver { in_tracker: false })?;
        self.compare()?;
        prop_assert!(
            self.state.registration().is_none(),
            "it is over, and listed"
        );
        Ok(())
    }

    /// Each task that a response waits for is in the report or reported as late, and not both.
    fn check_report(&self) -> Checked {
        let Some(report) = &self.report else {
            return Ok(());
        };
        let mut counted = 0;
        for (id, task) in self.model.tasks.iter().enumerate() {
            if task.spec.kind == Kind::Tracker {
                continue;
            }
            let is_straggler = report.stragglers.contains(&id);
            let is_counted = task.report != Report::Nothing;
            counted += usize::from(is_counted);
            let is_ended_in_report = is_counted && !is_straggler;
            prop_assert!(
                is_ended_in_report != task.late_end,
                "both, or neither: {id} {task:?}"
            );
        }
        prop_assert_eq!(report.spawned, counted);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Checked {
        let is_open = self.model.spawns().is_none() && self.model.phase != Phase::Process;
        match step {
            Step::Admit {
                kind,
                is_handler,
                is_elsewhere,
                has_hand_off,
                parent,
            } => {
                let mut spec = spec(*kind);
                spec.is_handler = *is_handler;
                let begins = if *is_elsewhere {
                    Begins::Elsewhere
                } else {
                    Begins::Spawning
                };
                self.admit(spec, *parent, begins)?;
                if *has_hand_off {
                    self.arm()?;
                }
            }
            Step::TryAdmit {
                kind,
                parent,
                is_closing,
            } => self.try_admit(*kind, *parent, *is_closing)?,
            Step::Attach(pick) => {
                if let Some(id) = self.pick(pick, |task| {
                    let is_to_come = matches!(task.handle, Handle::ToCome | Handle::AbortPending);
                    is_to_come || task.own_handle_to_come
                }) {
                    self.attach(id)?;
                }
            }
            Step::Fail(pick, state) => {
                // Also of a task that has ended, whose slot may be another one's.
                let may_fail =
                    |task: &Task| task.failed.is_none() && task.spec.kind != Kind::Tracker;
                if let Some(id) = self.pick(pick, may_fail) {
                    self.fail(id, *state)?;
                }
            }
            Step::End { task, in_tracker } => {
                let is_here = |task: &Task| !task.has_ended && task.spec.kind != Kind::Tracker;
                if let Some(id) = self.pick(task, is_here) {
                    self.end(id, *in_tracker)?;
                }
            }
            Step::Noticed { in_tracker } => {
                if self.model.pending_callbacks > 0 {
                    let effects = self.state.callbacks_done(*in_tracker);
                    self.model.pending_callbacks -= 1;
                    let (leave, wait_for_tracker) = self.model.leaves(*in_tracker);
                    let expected = Expected {
                        leave,
                        wait_for_tracker,
                        has_changed: true,
                        ..Expected::default()
                    };
                    self.effects(effects, &expected)?;
                }
            }
            Step::Watch => {
                if self.model.tracker_wait().is_none() {
                    self.admit(spec(Kind::Tracker), Parent::None, Begins::Elsewhere)?;
                }
            }
            Step::EndWatch { in_tracker } => {
                if let Some(id) = self.model.tracker_wait() {
                    self.end(id, *in_tracker)?;
                }
            }
            Step::AbandonWatch => {
                if let Some(id) = self.model.tracker_wait() {
                    let effects = self
                        .state
                        .abandon_tracker_wait(self.model.tasks[id].slot, true);
                    self.model.tasks[id].has_ended = true;
                    if self.model.for_limits {
                        self.effects(effects, &Expected::default())?;
                    } else {
                        self.woken(effects)?;
                    }
                }
            }
            Step::Stamp => {
                self.state.stamp(self.now);
                self.stamp();
            }
            Step::Look { in_tracker } => {
                let look = self.state.look(*in_tracker);
                self.looked(look, *in_tracker)?;
            }
            Step::LookAndKeepWaker { in_tracker } => self.look_and_keep_waker(*in_tracker)?,
            Step::Listen => {
                let (number, waker) = self.waker();
                let unused = self.state.wake_on_limits(waker);
                self.model.for_limits = true;
                let expected = self.model.waker.replace(number);
                prop_assert_eq!(self.number(unused.as_ref()), expected);
            }
            Step::Wake => {
                let effects = self.state.wake();
                self.woken(effects)?;
            }
            Step::OpenWindow => {
                if is_open {
                    let registration = self.registration();
                    let has_joined = self.state.open_window(self.now, || registration);
                    if self.model.phase == Phase::Running {
                        self.model.phase = Phase::Window {
                            opened: self.now,
                            stopped_before: self.model.stopped(),
                        };
                    }
                    self.stamp();
                    self.joined(has_joined)?;
                }
            }
            Step::CloseWindow => {
                let unused = self.state.close_window();
                prop_assert_eq!(self.number(unused.as_ref()), self.model.waker.take());
                if let Phase::Window { .. } = self.model.phase {
                    self.model.phase = Phase::Running;
                }
            }
            Step::ClientGone => {
                self.state.client_gone();
                if let Phase::Running | Phase::Window { .. } = self.model.phase {
                    self.model.phase = Phase::Leaving;
                }
            }
            Step::Finish {
                readers,
                in_tracker,
            } => {
                if is_open {
                    self.finish(*readers, *in_tracker)?;
                }
            }
            Step::ReleaseIfIdle { in_tracker } => {
                if is_open {
                    let query = self.query(Outcome::Drained);
                    let release_state = self.state.release_if_idle(query, *in_tracker);
                    let is_idle = self.model.waited_for() == 0 && !in_tracker;
                    prop_assert_eq!(release_state.is_some(), is_idle);
                    if let Some(release_state) = release_state {
                        self.released(release_state, Outcome::Drained)?;
                    }
                }
            }
            Step::Release { outcome, aborts } => {
                if is_open {
                    let query = self.query(*outcome);
                    let why = NotDone::ClientGone;
                    let stops = aborts.then_some(why);
                    let (release_state, stops) = self.state.release_and_stop(query, stops);
                    let expected = if *aborts {
                        self.model.stop_unfinished(why)
                    } else {
                        Stopped::default()
                    };
                    prop_assert_eq!(stopped(&stops), expected);
                    self.released(release_state, *outcome)?;
                }
            }
            Step::Conclude { in_tracker } => {
                if let Phase::Released(spawns) = self.model.phase {
                    let effects = self.state.conclude(*in_tracker);
                    self.concluded(effects, spawns, *in_tracker)?;
                }
            }
            Step::LeaveIfOver { in_tracker } => {
                let effects = self.state.leave_if_over(*in_tracker);
                self.left(effects, false, *in_tracker)?;
            }
            Step::ListTracker => {
                let registration = self.registration();
                let has_joined = self.state.list_tracker(|| registration);
                if is_open {
                    self.joined(has_joined)?;
                } else {
                    prop_assert!(!has_joined, "it is over");
                }
            }
            Step::NoteClosure(pick) => {
                let is_new = |task: &Task| {
                    let is_to_come = matches!(task.handle, Handle::ToCome | Handle::AbortPending);
                    let is_closure = matches!(
                        task.hand_off,
                        HandOff::Armed {
                            is_closure: true,
                            ..
                        }
                    );
                    let has_begun = matches!(task.hand_off, HandOff::Begun { .. });
                    let has_hand_off = task.hand_off != HandOff::None && !has_begun;
                    task.is_alive() && is_to_come && has_hand_off && !is_closure
                };
                if let Some(id) = self.pick(pick, is_new) {
                    self.note_closure(id)?;
                }
            }
            Step::ClosureEnds(pick) => {
                let is_beside = |task: &Task| matches!(task.hand_off, HandOff::Begun { .. });
                if let Some(id) = self.pick(pick, is_beside) {
                    let ignored = self.state.disarm(id as u32);
                    prop_assert!(matches!(ignored, EndOfArmed::Ignored));
                    let ticket = self.ticket(id);
                    let ignored = self.state.hand_off(ticket, TaskState::Failed, None);
                    prop_assert!(matches!(ignored, NotCompleted::Ignored));
                }
            }
            Step::StopForHandOff { which } => {
                let why = NotDone::Deadline;
                let stops = self.state.stop_for_hand_off(why, *which, &[]);
                let is_due = |_, task: &Task| task.is_due(*which);
                let expected = self.model.stop(Stop::HandOff(why), is_due);
                prop_assert_eq!(stopped(&stops), expected);
            }
            Step::StopUnfinished => {
                let stops = self.state.stop_unfinished(NotDone::Deadline);
                let expected = self.model.stop_unfinished(NotDone::Deadline);
                prop_assert_eq!(stopped(&stops), expected);
            }
            Step::StopAllExcept {
                spared,
                is_end_of_shutdown,
            } => {
                let spared = spared.as_ref().and_then(|pick| self.pick(pick, |_| true));
                let spared: Vec<u32> = spared.map(|id| id as u32).into_iter().collect();
                let stop = if *is_end_of_shutdown {
                    Stop::EndOfShutdown
                } else {
                    Stop::HandOff(NotDone::Shutdown)
                };
                let stops = self.state.stop_all_except(stop, &spared);
                let expected = self.model.stop(stop, |id, _| !spared.contains(&id));
                prop_assert_eq!(stopped(&stops), expected);
            }
            Step::Token => {
                let (_, cancelled) = self.state.token();
                prop_assert_eq!(cancelled, self.model.cancelled);
                self.model.has_token = true;
                self.model.has_rare = true;
            }
            Step::Cancel => {
                let token = self.state.cancel();
                self.cancelled(token.is_some())?;
            }
            Step::ShutdownBegins => {
                let (effects, token) = self.state.shutdown_begins();
                if self.model.phase == Phase::Process {
                    self.cancelled(token.is_some())?;
                } else {
                    prop_assert!(token.is_none(), "its own deadline is to come");
                }
                self.woken(effects)?;
            }
            Step::Attend => {
                self.state.announce_ends();
                self.model.announces_ends = true;
            }
            Step::SetSpan => {
                if is_open {
                    self.state.set_span(Arc::new(Span));
                    self.model.has_span = true;
                }
            }
            Step::Advance => self.now += Duration::from_millis(7),
        }
        Ok(())
    }

    fn pick(&self, pick: &prop::sample::Index, which: impl Fn(&Task) -> bool) -> Option<usize> {
        let all = self.model.tasks.iter().enumerate();
        let all: Vec<usize> = all.filter(|(_, t)| which(t)).map(|(id, _)| id).collect();
        (!all.is_empty()).then(|| *pick.get(&all))
    }

    // The life of a task.

    fn admit(&mut self, spec: TaskSpec, parent: Parent, begins: Begins) -> Checked {
        let handle = match begins {
            Begins::Spawning => Handle::ToCome,
            _ => Handle::None,
        };
        let registration = self.registration();
        let admitted = self.state.admit(spec, parent, begins, || registration);
        self.admitted(&admitted, spec, parent, handle)
    }

    fn admitted(
        &mut self,
        admitted: &Admitted,
        mut spec: TaskSpec,
        parent: Parent,
        handle: Handle,
    ) -> Checked {
        let (kind, report, is_late) = self.model.admission(spec.kind, parent);
        spec.kind = kind;
        self.joined(admitted.has_joined)?;
        prop_assert_eq!(admitted.id as usize, self.model.tasks.len());
        prop_assert_eq!(admitted.kind, kind);
        prop_assert_eq!(admitted.is_counted, report == Report::Counts);
        prop_assert_eq!(admitted.is_late, is_late);
        let is_window = matches!(self.model.phase, Phase::Window { .. });
        prop_assert_eq!(
            admitted.wants_stamp,
            report != Report::Counts || is_window,
            "nothing else reads the clock for it"
        );
        let is_free = |task: &Task| task.has_ended || task.slot != admitted.slot;
        prop_assert!(self.model.tasks.iter().all(is_free), "the slot was taken");
        self.model.pending_callbacks += usize::from(is_late);
        self.model.tasks.push(Task {
            spec,
            slot: admitted.slot,
            started: None,
            handle,
            failed: None,
            has_ended: false,
            report,
            was_counted: report == Report::Counts,
            late_end: false,
            hand_off: HandOff::None,
            handed_off: false,
            hand_off_failed: false,
            own_handle_to_come: false,
        });
        Ok(())
    }

    /// Gives the task that was listed last a hand-off.
    fn arm(&mut self) -> Checked {
        let id = self.model.tasks.len() - 1;
        let admitted = self.admitted_as(id);
        let f = HandOffFn::new(|_| async { Ok::<(), String>(()) });
        let effects = self.state.arm(&admitted, f);
        self.model.tasks[id].hand_off = HandOff::Armed {
            stopped: None,
            is_closure: false,
        };
        self.model.has_rare = true;
        if let Phase::Window { .. } = self.model.phase {
            self.woken(effects)
        } else {
            self.effects(effects, &Expected::default())
        }
    }

    fn admitted_as(&self, id: usize) -> Admitted {
        let task = &self.model.tasks[id];
        Admitted {
            slot: task.slot,
            id: id as u32,
            kind: task.spec.kind,
            is_counted: task.was_counted,
            is_late: false,
            wants_stamp: false,
            spans: TaskSpans::Child,
            has_joined: false,
        }
    }

    fn ticket(&self, id: usize) -> Ticket {
        Ticket {
            slot: self.model.tasks[id].slot,
            id: id as u32,
        }
    }

    fn note_closure(&mut self, id: usize) -> Checked {
        let mut closure = Some(Closure {
            task: request::task::Task::new(&self.admitted_as(id), false, None),
            span: None,
        });
        let beside = self.state.note_closure(&mut closure);
        let begun = beside.map(|beside| beside.why);
        prop_assert!(closure.is_none(), "the task has a hand-off");
        let task = &mut self.model.tasks[id];
        match task.hand_off {
            HandOff::Armed {
                stopped: Some(why), ..
            } => {
                prop_assert_eq!(begun, Some(why));
                task.begin_hand_off(why, TaskState::Aborted);
            }
            HandOff::Armed { stopped: None, .. } => {
                prop_assert_eq!(begun, None);
                task.hand_off = HandOff::Armed {
                    stopped: None,
                    is_closure: true,
                };
            }
            _ => prop_assert_eq!(begun, None),
        }
        Ok(())
    }

    /// A task that has a hand-off does not complete.
    fn hand_off(&mut self, id: usize, own: TaskState) -> Checked {
        let ticket = self.ticket(id);
        let not_completed = self.state.hand_off(ticket, own, None);
        let task = &mut self.model.tasks[id];
        match (not_completed, task.hand_off) {
            (NotCompleted::HandOff { why, handle, .. }, HandOff::Armed { stopped, .. }) => {
                let expected = match own {
                    TaskState::Failed => NotDone::Failed,
                    TaskState::Panicked => NotDone::Panicked,
                    _ => stopped.unwrap_or(NotDone::Aborted),
                };
                prop_assert_eq!(why, expected);
                let is_attached = task.handle == Handle::Attached;
                prop_assert_eq!(handle, is_attached.then_some(id as u32));
                task.begin_hand_off(why, own);
                Ok(())
            }
            (NotCompleted::Refused(_), HandOff::Refused) => {
                task.hand_off = HandOff::None;
                self.fail(id, own)
            }
            (found, expected) => Err(TestCaseError::fail(format!("{found:?}, {expected:?}"))),
        }
    }

    fn try_admit(&mut self, kind: Kind, parent: Parent, is_closing: bool) -> Checked {
        let spec = spec(kind);
        let registration = self.registration();
        let was_listed = self.model.is_listed;
        let joined = std::cell::Cell::new(was_listed);
        let asked_late = std::cell::Cell::new(false);
        let admitted = self.state.try_admit(
            spec,
            parent,
            Begins::Spawning,
            || {
                joined.set(true);
                registration
            },
            || {
                asked_late.set(joined.get());
                is_closing
            },
        );
        prop_assert!(asked_late.get(), "a shutdown may pass it by");
        let is_detached = kind == Kind::Detached
            || parent == Parent::DetachedTask
            || self.model.phase == Phase::Process;
        let refused = if is_closing {
            Some(Refused::ShuttingDown)
        } else if !is_detached && self.model.spawns().is_some() {
            Some(Refused::Released)
        } else {
            None
        };
        match admitted {
            Ok(admitted) => {
                prop_assert_eq!(refused, None);
                // It would have been refused as one that comes late.
                prop_assert!(!admitted.is_late);
                let parent = match parent {
                    Parent::Task => Parent::None,
                    parent => parent,
                };
                self.admitted(&admitted, spec, parent, Handle::ToCome)
            }
            Err((why, effects)) => {
                prop_assert_eq!(refused, Some(why));
                let expected = Expected {
                    leave: !was_listed,
                    ..Expected::default()
                };
                self.effects(effects, &expected)
            }
        }
    }

    fn attach(&mut self, id: usize) -> Checked {
        let number = id as u32;
        let ticket = self.ticket(id);
        let task = &mut self.model.tasks[id];
        let has_begun = matches!(task.hand_off, HandOff::Begun { .. });
        if std::mem::take(&mut task.own_handle_to_come) {
            let attached = self.state.attach(task.slot, number, number);
            if has_begun {
                prop_assert!(matches!(attached, Attached::ToAbort(given) if given == number));
            } else {
                prop_assert!(matches!(attached, Attached::Ended(given) if given == number));
            }
            return Ok(());
        }
        let attached = if has_begun {
            self.state.attach_hand_off(ticket, number)
        } else {
            self.state.attach(task.slot, number, number)
        };
        let handle = std::mem::replace(&mut task.handle, Handle::None);
        if !task.is_alive() {
            prop_assert!(matches!(attached, Attached::Ended(given) if given == number));
        } else if handle == Handle::AbortPending {
            prop_assert!(matches!(attached, Attached::ToAbort(given) if given == number));
        } else {
            prop_assert!(matches!(attached, Attached::Kept));
            task.handle = Handle::Attached;
        }
        Ok(())
    }

    fn fail(&mut self, id: usize, mut state: TaskState) -> Checked {
        match self.model.tasks[id].hand_off {
            _ if self.model.tasks[id].has_ended => {}
            HandOff::Armed { .. } | HandOff::Refused => return self.hand_off(id, state),
            HandOff::Begun {
                why,
                own,
                is_stopped,
            } => {
                let begun = self.state.begun(id as u32);
                let found = begun.map(|begun| (begun.why, begun.own, begun.is_stopped));
                prop_assert_eq!(found, Some((why, own, is_stopped)));
                self.model.tasks[id].hand_off_failed = !is_stopped;
                // The task counts by its own end.
                state = own;
            }
            HandOff::None => {}
        }
        self.model.tasks[id].hand_off = HandOff::None;
        let message = Some(format!("task {id}"));
        let task = &mut self.model.tasks[id];
        let failure = self
            .state
            .fail(task.slot, id as u32, state, message.clone(), self.now);
        if task.has_ended {
            prop_assert!(failure.is_none(), "it is not there any more");
            return Ok(());
        }
        let Some(failure) = failure else {
            return Err(TestCaseError::fail("it is there"));
        };
        let info = TaskInfo {
            state,
            message,
            ..task.info(self.now)
        };
        prop_assert_eq!(&failure.info, &info);
        prop_assert_eq!(failure.is_counted, task.report == Report::Counts);
        let is_reported = match task.report {
            Report::Counts => true,
            Report::Unfinished { is_logged } => is_logged,
            Report::Nothing => false,
        };
        prop_assert_eq!(failure.is_reported, is_reported);
        let is_attached = task.handle == Handle::Attached;
        prop_assert_eq!(failure.handle, is_attached.then_some(id as u32));
        if is_attached {
            task.handle = Handle::None;
        }
        task.failed = Some(info);
        self.model.has_rare |= failure.is_counted;
        self.order.push(id);
        Ok(())
    }

    fn end(&mut self, id: usize, in_tracker: bool) -> Checked {
        let required_before = self.model.required();
        let ticket = self.ticket(id);
        let task = &mut self.model.tasks[id];
        let hand_off = std::mem::replace(&mut task.hand_off, HandOff::None);
        match hand_off {
            HandOff::None => {}
            HandOff::Armed { .. } | HandOff::Refused => {
                let ended = self.state.disarm(id as u32);
                prop_assert!(matches!(ended, EndOfArmed::Ends(_)));
            }
            HandOff::Begun { why, own, .. } => {
                let Some(handed_off) = self.state.handed_off(ticket, self.now) else {
                    return Err(TestCaseError::fail("it has begun"));
                };
                prop_assert_eq!((handed_off.begun.why, handed_off.begun.own), (why, own));
                prop_assert_eq!(handed_off.is_counted, task.report == Report::Counts);
                let is_attached = task.handle == Handle::Attached;
                prop_assert_eq!(handed_off.handle, is_attached.then_some(id as u32));
                task.handle = Handle::None;
                task.handed_off = true;
            }
        }
        let completed = match hand_off {
            HandOff::None => self.state.complete(task.slot),
            _ => None,
        };
        let (effects, late) = match completed {
            Some(Completed { handle, wake }) => {
                let effects = Effects {
                    wake,
                    handle,
                    ..nothing()
                };
                (effects, None)
            }
            None => self.state.end(task.slot, in_tracker),
        };
        let mut expected = Expected {
            has_changed: self.model.announces_ends,
            ..Expected::default()
        };
        if task.handle == Handle::Attached {
            task.handle = Handle::None;
            expected.handle = Some(id as u32);
        }
        task.has_ended = true;
        let kind = task.spec.kind;
        let is_late = task.report != Report::Counts && kind != Kind::Tracker;
        task.late_end = is_late;
        match late {
            Some(late) => {
                prop_assert!(is_late, "the report counts it");
                prop_assert_eq!(late.started, task.started);
                prop_assert_eq!(late.spec.kind, kind);
                prop_assert_eq!(late.spec.is_handler, task.spec.is_handler);
            }
            None => prop_assert!(!is_late, "nothing reports it"),
        }
        let is_window = matches!(self.model.phase, Phase::Window { .. });
        let is_own = matches!(kind, Kind::Ordinary | Kind::Required);
        let was_last = is_own && self.model.waited_for() == 0;
        if is_window && was_last {
            self.model.last = Some(id);
        }
        let was_last_required = required_before > 0 && self.model.required() == 0;
        let is_awaited = was_last || kind == Kind::Tracker;
        if was_last_required || (is_awaited && !self.model.for_limits) {
            expected.wake = self.model.waker.take();
        }
        if is_late {
            self.model.pending_callbacks += 1;
        } else {
            (expected.leave, expected.wait_for_tracker) = self.model.leaves(in_tracker);
        }
        self.effects(effects, &expected)
    }

    // The wait and the release.

    fn looked(&self, look: Look, in_tracker: bool) -> Checked {
        prop_assert_eq!(look.own, self.model.waited_for() > 0);
        prop_assert_eq!(look.in_tracker, in_tracker);
        prop_assert_eq!(look.required_failed, self.model.required_failed());
        Ok(())
    }

    fn look_and_keep_waker(&mut self, in_tracker: bool) -> Checked {
        let (number, waker) = self.waker();
        let (look, unused) = self.state.look_and_keep_waker(waker, in_tracker);
        self.looked(look, in_tracker)?;
        let expected = if self.model.waited_for() > 0 || in_tracker {
            self.model.for_limits = false;
            self.model.waker.replace(number)
        } else {
            Some(number)
        };
        prop_assert_eq!(self.number(unused.as_ref()), expected);
        Ok(())
    }

    fn finish(&mut self, readers: Readers, in_tracker: bool) -> Checked {
        let is_idle = self.model.waited_for() == 0 && !in_tracker;
        let is_read = self.model.is_read(readers);
        let failed = self.model.required_failed();
        match self.state.finish(readers, in_tracker) {
            Finish::NotIdle { opened } => {
                prop_assert!(!is_idle, "nothing is alive");
                prop_assert_eq!(opened, self.model.opened());
            }
            Finish::Released { drained, waker } => {
                let Drained {
                    required_failed,
                    account,
                    opened,
                    is_plain,
                } = drained;
                prop_assert_eq!(is_plain, !self.model.has_span);
                prop_assert_eq!(opened, self.model.opened());
                prop_assert_eq!(self.number(waker.as_ref()), self.model.waker.take());
                prop_assert!(is_idle && is_read);
                prop_assert_eq!(required_failed, failed);
                self.report = Some(Reported {
                    spawned: account.tally.spawned,
                    stragglers: Vec::new(),
                });
                self.account(&account)?;
                self.model.release(Outcome::Drained);
            }
            Finish::Over {
                required_failed,
                leave,
            } => {
                prop_assert!(self.model.waker.is_none(), "it was to be dropped");
                prop_assert!(is_idle && !is_read);
                prop_assert_eq!(required_failed, failed);
                self.model.release(Outcome::Drained);
                let effects = Effects { leave, ..nothing() };
                self.concluded(effects, Spawns::Late, in_tracker)?;
            }
            Finish::OverWith {
                required_failed,
                effects,
                waker,
            } => {
                prop_assert_eq!(self.number(waker.as_ref()), self.model.waker.take());
                prop_assert!(is_idle && !is_read);
                prop_assert_eq!(required_failed, failed);
                self.model.release(Outcome::Drained);
                self.concluded(effects, Spawns::Late, in_tracker)?;
            }
        }
        Ok(())
    }

    fn concluded(&mut self, effects: Effects<u32>, spawns: Spawns, in_tracker: bool) -> Checked {
        self.model.phase = Phase::Over(spawns);
        let span = std::mem::take(&mut self.model.has_span);
        self.left(effects, span, in_tracker)
    }

    fn released(&mut self, mut release_state: ReleaseState, outcome: Outcome) -> Checked {
        let waker = release_state.waker.take();
        prop_assert_eq!(self.number(waker.as_ref()), self.model.waker.take());
        let is_alive = |(_, task): &(usize, &Task)| task.is_unfinished();
        let stragglers = self.model.tasks.iter().enumerate().filter(is_alive);
        self.report = Some(Reported {
            stragglers: stragglers.map(|(id, _)| id).collect(),
            spawned: release_state
                .account
                .as_ref()
                .map_or(0, |a| a.tally.spawned),
        });
        self.release_state(&release_state, outcome)?;
        self.model.release(outcome);
        Ok(())
    }

    fn query(&self, outcome: Outcome) -> ReportQuery {
        ReportQuery {
            outcome,
            at: Some(self.now),
        }
    }

    /// What a report would have that is made now.
    fn release_state(&self, release_state: &ReleaseState, outcome: Outcome) -> Checked {
        prop_assert_eq!(release_state.required_failed, self.model.fails(outcome));
        prop_assert!(release_state.waker.is_none(), "it may still be woken");
        let unfinished = self.model.tasks.iter().filter(|t| t.is_unfinished());
        let unfinished: Vec<TaskInfo> = unfinished.map(|task| task.info(self.now)).collect();
        prop_assert_eq!(&release_state.stragglers, &unfinished);
        match &release_state.account {
            Some(account) => self.account(account),
            None => Err(TestCaseError::fail("it was asked for")),
        }
    }

    fn account(&self, account: &Account) -> Checked {
        let tally = account.tally;
        let counted = self.model.count(|task| task.report != Report::Nothing);
        prop_assert_eq!(tally.spawned, counted);
        prop_assert_eq!(tally.failed, self.model.ended_as(TaskState::Failed));
        prop_assert_eq!(tally.panicked, self.model.ended_as(TaskState::Panicked));
        prop_assert_eq!(tally.aborted, self.model.ended_as(TaskState::Aborted));
        prop_assert_eq!(tally.handed_off, self.model.handed_off());
        let incomplete = account.incomplete.as_deref();
        let failures = incomplete.map_or_else(Vec::new, |t| t.failures.iter().collect());
        prop_assert_eq!(failures, self.model.failures(&self.order));
        let last = self.model.last.map(|id| {
            let task = &self.model.tasks[id];
            let failed = task.failed.as_ref();
            match failed.filter(|_| task.report == Report::Counts) {
                Some(info) => (info.clone(), None),
                None => {
                    let own = if task.handed_off {
                        TaskState::HandedOff
                    } else {
                        TaskState::Completed
                    };
                    let state = failed.map_or(own, |info| info.state);
                    (task.spec.info(state, None, None, None), task.started)
                }
            }
        });
        let found = account.last.map(|found| {
            let failed = incomplete.and_then(|t| t.last.clone());
            let started = found.started;
            failed.map_or((found.info(), started), |info| (info, None))
        });
        prop_assert_eq!(&found, &last);
        prop_assert_eq!(
            incomplete.is_some_and(|t| t.cancelled),
            self.model.cancelled
        );
        let has_detached = self.model.count(|task| task.spec.kind == Kind::Detached) > 0;
        prop_assert_eq!(account.has_detached, has_detached);
        Ok(())
    }

    // Parts of several transitions.

    fn registration(&self) -> Registration {
        self.registry.join(Weak::new())
    }

    fn waker(&mut self) -> (usize, Waker) {
        let waker: Waker = Arc::new(Nothing).into();
        self.wakers.push(waker.clone());
        (self.wakers.len() - 1, waker)
    }

    fn number(&self, waker: Option<&Waker>) -> Option<usize> {
        let waker = waker?;
        self.wakers.iter().position(|other| other.will_wake(waker))
    }

    fn joined(&mut self, has_joined: bool) -> Checked {
        prop_assert_eq!(has_joined, !self.model.is_listed);
        self.model.is_listed = true;
        Ok(())
    }

    fn left(&mut self, effects: Effects<u32>, span: bool, in_tracker: bool) -> Checked {
        let (leave, wait_for_tracker) = self.model.leaves(in_tracker);
        let expected = Expected {
            span,
            leave,
            wait_for_tracker,
            ..Expected::default()
        };
        self.effects(effects, &expected)
    }

    fn woken(&mut self, effects: Effects<u32>) -> Checked {
        let expected = Expected {
            wake: self.model.waker.take(),
            ..Expected::default()
        };
        self.effects(effects, &expected)
    }

    fn cancelled(&mut self, has_token: bool) -> Checked {
        let is_first = !std::mem::replace(&mut self.model.cancelled, true);
        self.model.has_rare = true;
        prop_assert_eq!(has_token, is_first && self.model.has_token);
        Ok(())
    }

    fn stamp(&mut self) {
        for task in self.model.tasks.iter_mut().filter(|task| !task.has_ended) {
            task.started.get_or_insert(self.now);
        }
    }

    #[allow(clippy::needless_pass_by_value)]
    fn effects(&self, effects: Effects<u32>, expected: &Expected) -> Checked {
        let found = Expected {
            wake: self.number(effects.wake.as_ref()),
            handle: effects.handle,
            span: effects.span.is_some(),
            leave: effects.leave.is_some(),
            has_changed: effects.has_changed,
            wait_for_tracker: effects.wait_for_tracker,
        };
        prop_assert_eq!(&found, expected);
        Ok(())
    }

    fn compare(&mut self) -> Checked {
        let (state, model) = (&mut self.state, &self.model);
        prop_assert_eq!(state.phase(), model.phase);
        let alive = model.waited_for() + model.detached();
        prop_assert_eq!(state.waited_for(), model.waited_for());
        prop_assert_eq!(state.alive(), alive);
        prop_assert_eq!(state.required() as usize, model.required());
        prop_assert_eq!(state.has_tracker_wait(), model.tracker_wait().is_some());
        prop_assert_eq!(state.registration().is_some(), model.is_listed);
        prop_assert_eq!(state.is_released(), model.spawns().is_some());
        prop_assert_eq!(state.required_failed(), model.required_failed());
        prop_assert_eq!(state.stopped(), model.stopped());
        prop_assert_eq!(state.has_spawned(), !model.tasks.is_empty());
        for which in [Which::All, Which::Awaited, Which::NotAwaited] {
            let is_due = model.count(|task| task.is_due(which)) > 0;
            prop_assert_eq!(state.any_hand_off_due(which), is_due);
        }
        let has_no_start = |task: &Task| !task.has_ended && task.started.is_none();
        prop_assert_eq!(state.wants_stamp(), model.count(has_no_start) > 0);
        let is_handler = |task: &Task| task.spec.is_handler;
        prop_assert_eq!(state.had_handler(), model.count(is_handler) > 0);
        for tasks in 0..4 {
            let is_enough = alive <= tasks && model.pending_callbacks == 0;
            prop_assert_eq!(state.is_idle_except_for(tasks), is_enough);
        }
        let is_held = matches!(model.phase, Phase::Running | Phase::Window { .. });
        prop_assert_eq!(state.is_held(Parent::None), is_held);
        prop_assert_eq!(state.is_held(Parent::Task), is_held);
        prop_assert!(!state.is_held(Parent::DetachedTask));
        let is_pristine = model.phase == Phase::Running
            && model.tasks.is_empty()
            && !model.has_rare
            && model.waker.is_none()
            && !model.is_listed
            && !model.has_span
            && !model.announces_ends;
        prop_assert_eq!(state.is_pristine(), is_pristine);
        let is_shown = |t: &&Task| t.is_alive() && t.spec.kind != Kind::Tracker;
        let shown = model.tasks.iter().filter(is_shown);
        let shown: Vec<TaskInfo> = shown.map(|task| task.info(self.now)).collect();
        prop_assert_eq!(state.snapshot(self.now, &[]), shown);
        for (id, task) in (0..).zip(&model.tasks) {
            prop_assert_eq!(state.spec(task.slot, id).is_some(), !task.has_ended);
        }
        for outcome in [
            Outcome::Drained,
            Outcome::DeadlineExceeded,
            Outcome::Dropped,
        ] {
            self.release_state(&self.state.account(self.query(outcome)), outcome)?;
        }
        Ok(())
    }
}

fn spec(kind: Kind) -> TaskSpec {
    TaskSpec {
        kind,
        ..TaskSpec::here()
    }
}

fn stopped(stops: &Stops<u32>) -> Stopped {
    let hand_offs = stops.hand_offs.iter();
    Stopped {
        handles: stops.handles.clone(),
        hand_offs: hand_offs
            .map(|beside| (beside.closure.task.ticket.id, beside.why))
            .collect(),
    }
}

fn nothing() -> Effects<u32> {
    Effects {
        wake: None,
        handle: None,
        span: None,
        leave: None,
        has_changed: false,
        wait_for_tracker: false,
    }
}
