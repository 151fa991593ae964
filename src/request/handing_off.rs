//! Hands off a task that did not complete, and ends the hand-off.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use tokio::time::Instant;

use super::Request;
use super::abandoned::abandon;
use super::context::Context;
use super::guard::{Extra, TaskGuard, run_part};
use super::hand_off::{Armed, Begun, BesideClosure, Closure, HandOffFn, HandOffFuture};
use super::state::hand_off::{EndOfArmed, HandedOff, NotCompleted};
use super::task::Task;
use crate::report::{NotDone, TaskInfo, TaskState};
use crate::sync::spawn;
use crate::trace::Span;
use crate::{metrics, panics, trace};

const NOT_BEGUN: &str = "the shutdown ended before the hand-off began";
const STOPPED: &str = "the shutdown ended before the hand-off did";
const PANICKED: &str = "the hand-off panicked";
const DROPPED: &str =
    "the hand-off was dropped before its end: its runtime shut down, or there is none";

impl Request {
    /// Completes a task that has a hand-off. `extra`: of its guard.
    pub(super) fn complete_armed(self: &Arc<Self>, task: &Task, extra: Option<Box<Extra>>) {
        let ended = self.lock().disarm(task.ticket.id);
        match ended {
            EndOfArmed::Ignored => {}
            EndOfArmed::Ends(armed) => {
                self.drop_armed(task, extra.as_deref(), armed);
                self.note_end(task, TaskState::Completed);
                self.end_spanned(task, None, extra);
            }
        }
    }

    /// Hands off a task that did not complete. `own`: the state in which it ended.
    pub(super) fn hand_off(
        self: &Arc<Self>,
        task: &Task,
        own: TaskState,
        message: Option<String>,
        extra: Option<Box<Extra>>,
    ) {
        let own_message = message.clone();
        let not_completed = self.lock().hand_off(task.ticket, own, message);
        match not_completed {
            NotCompleted::HandOff { armed, why, handle } => {
                drop(handle);
                self.start_hand_off(*task, extra, armed.f, why);
            }
            NotCompleted::Refused(armed) => {
                self.drop_armed(task, extra.as_deref(), armed);
                let begun = Begun {
                    why: NotDone::Shutdown,
                    own,
                    message: own_message,
                    is_stopped: true,
                };
                self.not_handed_off(task, &begun, NOT_BEGUN.to_owned(), extra);
            }
            NotCompleted::Ignored => {}
        }
    }

    /// Drops a hand-off that does not begin, as a part of its task, which may run code of the user.
    fn drop_armed(self: &Arc<Self>, task: &Task, extra: Option<&Extra>, armed: Armed) {
        let mut context = Context::within(self.clone());
        let span = extra.and_then(|extra| extra.span.as_ref());
        let _ = run_part(&mut context, task, span, || panics::caught(|| drop(armed)));
    }

    /// Spawns the task of a hand-off, which takes the place of this task. `extra`: what the guard of the task had.
    fn start_hand_off(
        self: &Arc<Self>,
        task: Task,
        extra: Option<Box<Extra>>,
        f: HandOffFn,
        why: NotDone,
    ) {
        let guard = TaskGuard::of_hand_off(self, task, extra);
        let hand_off = HandOffTask {
            work: Work::New(f, why),
            guard,
        };
        if let Some(handle) = spawn(hand_off) {
            self.attach_hand_off(task.ticket, handle);
        }
    }

    /// Starts the hand-off of a blocking closure that was stopped.
    pub(super) fn start_beside_closure(self: &Arc<Self>, beside: BesideClosure) {
        let BesideClosure { closure, f, why } = beside;
        let Closure { task, span } = closure;
        self.start_hand_off(task, span.map(Extra::of_span), f, why);
    }

    /// Notes that a task with a hand-off is a blocking closure. `span`: of the task.
    pub(super) fn note_closure(self: &Arc<Self>, task: Task, span: Option<Span>) {
        let mut closure = Some(Closure { task, span });
        let beside = self.lock().note_closure(&mut closure);
        if let Some(beside) = beside {
            self.start_beside_closure(beside);
        }
    }

    /// Ends a hand-off that has succeeded.
    pub(super) fn complete_hand_off(self: &Arc<Self>, task: &Task, extra: Option<Box<Extra>>) {
        self.note_end(task, TaskState::HandedOff);
        let handed_off = self.lock().handed_off(task.ticket, Instant::now());
        let mut ended = None;
        if let Some(HandedOff {
            info,
            begun,
            is_counted,
            handle,
        }) = handed_off
        {
            drop(handle);
            let span = extra.as_deref().and_then(|extra| extra.span.as_ref());
            let error = begun.message.as_deref();
            self.in_span_of(span, is_counted, || {
                trace::handed_off(&info, begun.why, error, self.id.as_deref());
            });
            ended = Some(info);
        }
        self.end_spanned(task, ended, extra);
    }

    /// Ends a hand-off that has failed. The task then counts by how it ended itself. `state`, `message`: of the hand-off.
    pub(super) fn fail_hand_off(
        self: &Arc<Self>,
        task: &Task,
        state: TaskState,
        message: Option<String>,
        extra: Option<Box<Extra>>,
    ) {
        let begun = self.lock().begun(task.ticket.id);
        let begun = begun.unwrap_or(Begun {
            why: NotDone::Aborted,
            own: state,
            message: None,
            is_stopped: false,
        });
        let message = message.unwrap_or_else(|| {
            let message = match state {
                TaskState::Panicked => PANICKED,
                _ if begun.is_stopped => STOPPED,
                _ => DROPPED,
            };
            message.to_owned()
        });
        self.not_handed_off(task, &begun, message, extra);
    }

    /// Ends a task that did not complete, and that was not handed off. `begun`: how the task itself ended. `message`:
    /// why it was not handed off.
    fn not_handed_off(
        self: &Arc<Self>,
        task: &Task,
        begun: &Begun,
        message: String,
        extra: Option<Box<Extra>>,
    ) {
        self.note_end(task, begun.own);
        metrics::hand_off_failed();
        let log = |info: &TaskInfo, _| {
            let (error, id) = (begun.message.as_deref(), self.id.as_deref());
            trace::hand_off_failed(info, begun.why, error, id);
        };
        let failed = self.fail(task.ticket, begun.own, Some(message), extra.as_deref(), log);
        self.end_spanned(task, failed, extra);
    }
}

/// The task of a hand-off.
struct HandOffTask {
    work: Work,
    guard: TaskGuard,
}

enum Work {
    /// The closure is called at the first poll.
    New(HandOffFn, NotDone),
    Running(HandOffFuture),
    Done,
}

impl Work {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), String>> {
        if let Work::New(..) = self {
            if let Work::New(f, why) = std::mem::replace(self, Work::Done) {
                *self = Work::Running(f.call(why));
            }
        }
        match self {
            Work::Running(future) => future.as_mut().poll(cx),
            Work::New(..) | Work::Done => Poll::Ready(Ok(())),
        }
    }
}

impl Future for HandOffTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let Self { work, guard } = self.get_mut();
        let polled = guard.try_run(|| {
            let polled = work.poll(cx);
            if polled.is_ready() {
                // In the context of the task, and before it ends.
                *work = Work::Done;
            }
            polled
        });
        match polled {
            Ok(Poll::Pending) => {
                guard.stamp();
                Poll::Pending
            }
            Ok(Poll::Ready(result)) => {
                guard.end_of_run(result.err());
                Poll::Ready(())
            }
            Err(payload) => {
                let _ = panics::caught(|| drop(payload));
                abandon(|| {
                    let _ = panics::caught(|| guard.run(|| *work = Work::Done));
                });
                guard.abandon();
                Poll::Ready(())
            }
        }
    }
}

impl Drop for HandOffTask {
    fn drop(&mut self) {
        if !self.guard.has_ended() {
            let Self { work, guard } = self;
            abandon(|| {
                let _ = panics::caught(|| guard.run(|| *work = Work::Done));
            });
        }
    }
}
