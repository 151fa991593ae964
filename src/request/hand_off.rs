//! The hand-offs of the tasks of a request.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;

use super::task::Task;
use crate::report::{NotDone, TaskState};

/// The future of a hand-off. An error is its message.
pub(crate) type HandOffFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The closure of a hand-off.
pub(crate) struct HandOffFn(Box<dyn FnOnce(NotDone) -> HandOffFuture + Send>);

/// The hand-offs of the tasks that are alive, by the ids of the tasks.
#[derive(Debug, Default)]
pub(crate) struct HandOffs(BTreeMap<u32, HandOff>);

/// The hand-off of one task.
#[derive(Debug)]
pub(crate) enum HandOff {
    /// The task is alive. If it does not complete, it is handed off.
    Armed(Armed),
    /// The hand-off is alive, in place of the task.
    Begun(Begun),
    /// The end of a shutdown has stopped the task, so its hand-off does not begin.
    Refused(HandOffFn),
}

#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) f: HandOffFn,
    /// True if a response waits for the task.
    pub(crate) is_awaited: bool,
    /// Why the task was stopped. `None` if it was not stopped.
    pub(crate) stopped: Option<NotDone>,
    /// `Some` if the task is a blocking closure that has begun. It cannot be stopped, so it runs on beside its hand-off.
    pub(crate) closure: Option<Task>,
}

/// How a task ended that is handed off.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) why: NotDone,
    /// The state in which the task itself ended.
    pub(crate) own: TaskState,
    /// The message of the task itself.
    pub(crate) message: Option<String>,
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
        self.0.insert(id, HandOff::Armed(armed));
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut HandOff> {
        self.0.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<HandOff> {
        self.0.remove(&id)
    }

    /// Takes the closure of the task, and notes how the task ended. `own`: its state. Returns `None` if the task is not
    /// armed.
    pub(crate) fn begin(
        &mut self,
        id: u32,
        own: TaskState,
        message: Option<String>,
    ) -> Option<(HandOffFn, NotDone)> {
        let hand_off = self.0.get_mut(&id)?;
        let HandOff::Armed(Armed { stopped, .. }) = hand_off else {
            return None;
        };
        let why = match (own, *stopped) {
            (TaskState::Failed, _) => NotDone::Failed,
            (TaskState::Panicked, _) => NotDone::Panicked,
            (_, Some(why)) => why,
            (_, None) => NotDone::Aborted,
        };
        let begun = HandOff::Begun(Begun { why, own, message });
        match std::mem::replace(hand_off, begun) {
            HandOff::Armed(armed) => Some((armed.f, why)),
            HandOff::Begun(_) | HandOff::Refused(_) => None,
        }
    }

    /// Takes the closure of a task that was stopped, if the task is a blocking closure that has begun.
    pub(crate) fn begin_beside_closure(&mut self, id: u32) -> Option<(Task, HandOffFn, NotDone)> {
        let HandOff::Armed(armed) = self.0.get(&id)? else {
            return None;
        };
        armed.stopped?;
        let task = armed.closure?;
        let (f, why) = self.begin(id, TaskState::Aborted, None)?;
        Some((task, f, why))
    }

    /// Lets the hand-off of a task that is stopped at the end of a shutdown not begin.
    pub(crate) fn refuse(&mut self, id: u32) {
        if let Some(HandOff::Armed(armed)) = self.0.remove(&id) {
            self.0.insert(id, HandOff::Refused(armed.f));
        }
    }

    /// Returns whether this task has a hand-off, was not stopped, and, if `awaited`, a response waits for it.
    pub(crate) fn is_due(&self, id: u32, awaited: bool) -> bool {
        self.0.get(&id).is_some_and(|of| of.is_due(awaited))
    }

    /// Returns whether [`is_due`](Self::is_due) returns true for any task.
    pub(crate) fn any_due(&self, awaited: bool) -> bool {
        self.0.values().any(|of| of.is_due(awaited))
    }
}

impl HandOff {
    fn is_due(&self, awaited: bool) -> bool {
        match self {
            HandOff::Armed(armed) => armed.stopped.is_none() && (armed.is_awaited || !awaited),
            HandOff::Begun(_) | HandOff::Refused(_) => false,
        }
    }
}
