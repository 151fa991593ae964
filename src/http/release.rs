//! The release of a held head, and the failure that may replace it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Response, StatusCode};
use http_body::Body;

use super::answer::{Answer, Peek};
use super::body::ResponseBody;
use super::head::{Failure, write_server_timing};
use super::hold::Held;
use crate::drain::Drain;
use crate::drain::release::{AfterWait, Releasable};
use crate::report::DrainReport;

impl<B: Body, E> Answer<B, E> {
    /// Ready when the head may go out.
    pub(super) fn poll_released(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        let mut head = HeldHead {
            answer: self,
            waited: false,
            held_time: None,
            before_finish: None,
        };
        let report = ready!(drain.poll_released(&mut head, cx));
        let HeldHead {
            waited,
            held_time,
            before_finish,
            ..
        } = head;
        let report = report.or(before_finish);
        // If the response goes on, the window of the head ends here.
        drain.close_drained();
        let is_head = matches!(self.plan.held, Held::Head | Held::HeadIfWhole(_));
        if let (true, Ok(response)) = (is_head || waited, &mut self.result) {
            if let Some(held_time) = held_time {
                write_server_timing(response.headers_mut(), held_time);
            }
            if let Some(report) = report.filter(|_| self.plan.has_report()) {
                response.extensions_mut().insert(report);
            }
        }
        Poll::Ready(())
    }

    /// Ready when all tasks and hooks are done, at the deadline, or when the head need not be held any more.
    fn poll_drained(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        // A head that need not be held any more must not reach its deadline: that would stop tasks that the stream
        // still needs.
        let is_hold_over = self.after_required_now(drain).is_some() && drain.must_wait();
        if !is_hold_over && drain.poll_releasable(cx).is_ready() {
            let body = self.result.as_ref().ok().map(Response::body);
            if drain.is_cut_short() && body.is_some_and(ResponseBody::is_streaming) {
                drain.note_held_stream();
            }
            return Poll::Ready(());
        }
        // Called again after the poll, because a required task may have ended before the poll registered a waker.
        let Some(then) = self.after_required_now(drain) else {
            if is_hold_over {
                // A required task was spawned since the call above. No waker is registered for its end.
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        };
        if self.fail(drain) {
            // The body is dropped, so the response ends with its head, which has to wait for the other tasks.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.plan.after_required = None;
        self.plan.held = then;
        if let Held::HeadIfWhole(length) = then {
            self.peek_again(length);
            self.peek(drain, cx);
        }
        if self.plan.held == Held::Head {
            // The peek may have spawned or ended a task, so the tasks are checked again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        drain.postpone();
        Poll::Ready(())
    }

    /// Returns what is held from now on, if the head was held for required tasks alone and none is alive. `None` once
    /// the deadline has aborted tasks: the wait then goes on to its end.
    fn after_required_now(&self, drain: &Drain) -> Option<Held> {
        self.plan
            .after_required
            .filter(|_| !drain.waits_for_required() && !drain.is_stopping())
    }

    /// Replaces the handler's response with a failure, if there is one to report. Returns whether it did so now. If so,
    /// the body's destructor may have spawned tasks, which the response waits for.
    fn fail(&mut self, drain: &mut Drain) -> bool {
        let (false, Some(failure), Ok(response)) =
            (self.plan.failed, self.failure(drain), &mut self.result)
        else {
            return false;
        };
        self.plan.failed = true;
        self.plan.after_required = None;
        self.plan.peek = Peek::None;
        // A failure ends with its head, whatever was to be held before.
        if self.plan.held != Held::Nothing {
            self.plan.held = Held::Head;
        }
        // The body's destructor may call `Tasks::deadline`, which must not return that of a drained window.
        drain.close_drained();
        response.body_mut().drop_all(drain);
        let (mut parts, body) = std::mem::take(response).into_parts();
        failure.write(&mut parts);
        *response = Response::from_parts(parts, body);
        true
    }

    /// Returns the failure that the response has to report, if any.
    fn failure(&self, drain: &Drain) -> Option<Failure> {
        if self.plan.held == Held::Upgraded {
            None
        } else if drain.required_failed() {
            let status = self.plan.settings.failure_status;
            Some(Failure::Required(
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            ))
        } else if drain.is_cut_short() && !self.waits_for_required_alone() {
            self.plan.settings.deadline_status.map(Failure::Deadline)
        } else {
            None
        }
    }

    /// Returns whether the head was held for required tasks alone. Then tasks that are not required may miss the
    /// deadline without a failure.
    fn waits_for_required_alone(&self) -> bool {
        self.plan.held == Held::WhileRequired || self.plan.after_required.is_some()
    }

    /// Returns whether nothing more can come from the inner body.
    fn ends_with_head(&self) -> bool {
        match &self.result {
            Ok(response) => response.body().inner_has_ended(),
            Err(_) => true,
        }
    }
}

/// An answer whose head is held.
struct HeldHead<'a, B: Body, E> {
    answer: &'a mut Answer<B, E>,
    /// A window was opened.
    waited: bool,
    /// The time for `server-timing`, if the head shows it.
    held_time: Option<Duration>,
    /// The report up to the release under [`Held::WhileRequired`]. After that, a task in the background waits for the
    /// rest, so the final report comes too late for the head.
    before_finish: Option<Arc<DrainReport>>,
}

impl<B: Body, E> Releasable for HeldHead<'_, B, E> {
    fn poll_wait(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        self.answer.peek(drain, cx);
        match self.answer.plan.held {
            Held::Upgraded => drain.upgrade(),
            Held::Nothing => drain.stop_holding(),
            Held::Head | Held::WhileRequired => return self.answer.poll_drained(drain, cx),
            // The end is held by the body.
            Held::HeadIfWhole(_) | Held::End => {}
        }
        Poll::Ready(())
    }

    fn fail(&mut self, drain: &mut Drain) -> bool {
        self.answer.fail(drain)
    }

    fn after_wait(&mut self, drain: &mut Drain) -> AfterWait {
        let plan = &self.answer.plan;
        let so_far = |drain: &Drain| drain.report_so_far(plan.has_report());
        self.waited = drain.has_waited();
        let has_timing = self.waited && plan.settings.server_timing == Some(true);
        self.held_time = has_timing.then(|| drain.waited_for());
        match plan.held {
            Held::HeadIfWhole(_) => return AfterWait::GoesOn(so_far(drain)),
            Held::End if self.waited => return AfterWait::GoesOn(so_far(drain)),
            Held::End => return AfterWait::GoesOn(None),
            Held::WhileRequired if self.waited => self.before_finish = so_far(drain),
            Held::WhileRequired | Held::Upgraded | Held::Nothing | Held::Head => {}
        }
        if self.answer.ends_with_head() {
            return AfterWait::Ends;
        }
        if plan.no_body {
            if drain.must_wait() {
                // The peek may have spawned a task, and the response ends with its head.
                return AfterWait::WaitsAgain;
            }
            drain.complete();
        }
        AfterWait::GoesOn(so_far(drain))
    }
}
