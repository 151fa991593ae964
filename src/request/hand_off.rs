//! The hand-offs of the tasks of a request.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;

use super::task::Task;
use crate::report::{NotDone, TaskState};
use crate::trace::Span;

/// The future of a hand-off. An error is its message.
pub(crate) type HandOffFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The closure of a hand-off.
pub(crate) struct HandOffFn(Box<dyn FnOnce(NotDone) -> HandOffFuture + Send>);

/// The hand-offs of the tasks of a request.
#[derive(Debug, Default)]
pub(crate) struct HandOffs {
    /// Those of the tasks that are alive, by the ids of the tasks.
    alive: BTreeMap<u32, HandOff>,
    /// How many tasks count as aborted or panicked because their hand-off has failed by itself. No deadline and no
    /// shutdown has stopped these.
    failed: usize,
}

/// The hand-off of one task.
#[derive(Debug)]
pub(crate) enum HandOff {
    /// The task is alive. If it does not complete, it is handed off.
    Armed(Armed),
    /// The hand-off is alive, in place of the task.
    Begun(Begun),
    /// The end of a shutdown has stopped the task, so its hand-off does not begin.
    Refused(Armed),
}

/// The hand-off of a task that is alive. It may run code of the user when it is dropped.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) f: HandOffFn,
    /// True if a response waits for the task.
    pub(crate) is_awaited: bool,
    /// Why the task was stopped. `None` if it was not stopped.
    pub(crate) stopped: Option<NotDone>,
    /// `Some` if the task is a blocking closure.
    pub(crate) closure: Option<Closure>,
}

/// A blocking closure. An abort does not end it: it may run, or wait for a thread. So if it is stopped, its hand-off
/// begins beside it.
#[derive(Debug)]
pub(crate) struct Closure {
    pub(crate) task: Task,
    /// The span of the task, for the hand-off.
    pub(crate) span: Option<Span>,
}

/// The hand-off of a blocking closure that is to begin.
#[derive(Debug)]
pub(crate) struct BesideClosure {
    pub(crate) closure: Closure,
    pub(crate) f: HandOffFn,
    pub(crate) why: NotDone,
}

/// Which tasks with a hand-off are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those that a response waits for.
    Awaited,
    /// All others.
    NotAwaited,
}

/// How a task ended that is handed off.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) why: NotDone,
    /// The state in which the task itself ended.
    pub(crate) own: TaskState,
    /// The message of the task itself.
    pub(crate) message: Option<String>,
    /// True if the end of a shutdown has stopped the hand-off.
    pub(crate) is_stopped: bool,
}

impl HandOffFn {
    pub(crate) fn new<F, Fut, E>(f: F) -> Self
    where
        F: FnOnce(NotDone) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let call = |why| -> HandOffFuture {
            let future = f(why);
            Box::pin(async move { future.await.map_err(|error| error.to_string()) })
        };
        Self(Box::new(call))
    }

    pub(super) fn call(self, why: NotDone) -> HandOffFuture {
        (self.0)(why)
    }
}

impl fmt::Debug for HandOffFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOffFn")
    }
}

impl HandOffs {
    /// Adds the hand-off of a task that was listed just before. `is_awaited`: a response waits for the task.
    pub(crate) fn arm(&mut self, id: u32, f: HandOffFn, is_awaited: bool) {
        let armed = Armed {
            f,
            is_awaited,
            stopped: None,
            closure: None,
        };
        self.alive.insert(id, HandOff::Armed(armed));
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut HandOff> {
        self.alive.get_mut(&id)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&HandOff> {
        self.alive.get(&id)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<HandOff> {
        self.alive.remove(&id)
    }

    /// Returns how a task ended whose hand-off has begun.
    pub(crate) fn begun(&self, id: u32) -> Option<&Begun> {
        match self.get(id)? {
            HandOff::Begun(begun) => Some(begun),
            HandOff::Armed(_) | HandOff::Refused(_) => None,
        }
    }

    /// Takes the hand-off of a task out, and notes how the task ended. `own`: its state. Returns `None` if the task is
    /// not armed.
    pub(crate) fn begin(
        &mut self,
        id: u32,
        own: TaskState,
        message: Option<String>,
    ) -> Option<(Armed, NotDone)> {
        let hand_off = self.get_mut(id)?;
        let HandOff::Armed(Armed { stopped, .. }) = hand_off else {
            return None;
        };
        let why = match (own, *stopped) {
            (TaskState::Failed, _) => NotDone::Failed,
            (TaskState::Panicked, _) => NotDone::Panicked,
            (_, Some(why)) => why,
            (_, None) => NotDone::Aborted,
        };
        let begun = Begun {
            why,
            own,
            message,
            is_stopped: false,
        };
        match std::mem::replace(hand_off, HandOff::Begun(begun)) {
            HandOff::Armed(armed) => Some((armed, why)),
            HandOff::Begun(_) | HandOff::Refused(_) => None,
        }
    }

    /// Begins the hand-off of a blocking closure, if it was stopped.
    pub(crate) fn begin_beside_closure(&mut self, id: u32) -> Option<BesideClosure> {
        let HandOff::Armed(armed) = self.get_mut(id)? else {
            return None;
        };
        armed.stopped?;
        let closure = armed.closure.take()?;
        let (Armed { f, .. }, why) = self.begin(id, TaskState::Aborted, None)?;
        Some(BesideClosure { closure, f, why })
    }

    /// Lets the hand-off of a task that is stopped at the end of a shutdown not begin.
    pub(crate) fn refuse(&mut self, id: u32) {
        if let Some(HandOff::Armed(armed)) = self.remove(id) {
            self.alive.insert(id, HandOff::Refused(armed));
        }
    }

    /// Removes the hand-off of a task that ends, if it has begun. `is_counted`: the report counts the task.
    pub(crate) fn remove_failed(&mut self, id: u32, is_counted: bool) {
        if let Some(begun) = self.begun(id) {
            let is_stop = matches!(begun.own, TaskState::Aborted | TaskState::Panicked);
            self.failed += usize::from(is_counted && is_stop && !begun.is_stopped);
            self.alive.remove(&id);
        }
    }

    /// Returns how many tasks count as stopped only because their hand-off has failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Returns whether this task has a hand-off, was not stopped, and is one of these.
    pub(crate) fn is_due(&self, id: u32, which: Which) -> bool {
        self.get(id).is_some_and(|of| of.is_due(which))
    }

    /// Returns whether [`is_due`](Self::is_due) returns true for any task.
    pub(crate) fn any_due(&self, which: Which) -> bool {
        self.alive.values().any(|of| of.is_due(which))
    }
}

impl HandOff {
    fn is_due(&self, which: Which) -> bool {
        let HandOff::Armed(armed) = self else {
            return false;
        };
        let is_one = match which {
            Which::All => true,
            Which::Awaited => armed.is_awaited,
            Which::NotAwaited => !armed.is_awaited,
        };
        is_one && armed.stopped.is_none()
    }
}
