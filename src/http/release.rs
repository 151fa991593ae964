//! When the head of an answer is let go, and whether it is still the handler's.

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
    /// Ready when the head may go.
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
        // Of a response that goes on.
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

    /// Ready when everything is done, or when the head is held no longer.
    fn poll_drained(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        // A head that is held no longer must not meet its deadline, which would end tasks that the stream
        // goes on with.
        let is_free = self.after_required_now(drain).is_some() && drain.must_wait();
        if !is_free && drain.poll_releasable(cx).is_ready() {
            let body = self.result.as_ref().ok().map(Response::body);
            if drain.is_cut_short() && body.is_some_and(ResponseBody::is_streaming) {
                drain.note_held_stream();
            }
            return Poll::Ready(());
        }
        // Peeked at again: a required task may have ended before the poll registered a waker.
        let Some(then) = self.after_required_now(drain) else {
            if is_free {
                // One has come up since, and nothing would wake this at its end.
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        };
        if self.fail(drain) {
            // Its body is gone: everything else has to end before it does.
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
            // Looking at it may have changed something.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        drain.postpone();
        Poll::Ready(())
    }

    /// What is held from now on, if the head was held for required tasks alone and none is alive. Where the
    /// deadline has begun to end tasks, it comes to its end.
    fn after_required_now(&self, drain: &Drain) -> Option<Held> {
        self.plan
            .after_required
            .filter(|_| !drain.waits_for_required() && !drain.is_stopping())
    }

    /// Puts a failure in the place of the handler's response, if there is one, and says whether it did
    /// so just now: what the body's destructor has spawned is to be waited for.
    fn fail(&mut self, drain: &mut Drain) -> bool {
        let (false, Some(failure), Ok(response)) =
            (self.plan.failed, self.failure(drain), &mut self.result)
        else {
            return false;
        };
        self.plan.failed = true;
        self.plan.after_required = None;
        self.plan.peek = Peek::None;
        // Whatever was to be held before: this ends with its head.
        if self.plan.held != Held::Nothing {
            self.plan.held = Held::Head;
        }
        // Its destructor may ask for the deadline.
        drain.close_drained();
        response.body_mut().drop_all(drain);
        let (mut parts, body) = std::mem::take(response).into_parts();
        failure.write(&mut parts);
        *response = Response::from_parts(parts, body);
        true
    }

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

    /// Whether the head was held for required tasks alone, and these are done: whatever else was late at the deadline
    /// has not made it late.
    fn waits_for_required_alone(&self) -> bool {
        self.plan.held == Held::WhileRequired || self.plan.after_required.is_some()
    }

    /// Whether nothing more can come from the inner body.
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
    /// The head had to wait.
    waited: bool,
    /// For how long, if the head is to show that.
    held_time: Option<Duration>,
    /// The report before the request ends: after that, what is left is waited for in the background.
    before_finish: Option<Arc<DrainReport>>,
}

impl<B: Body, E> Releasable for HeldHead<'_, B, E> {
    fn poll_wait(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        self.answer.peek(drain, cx);
        match self.answer.plan.held {
            Held::Upgraded => drain.upgrade(),
            Held::Nothing => drain.stop_holding(),
            Held::Head | Held::WhileRequired => return self.answer.poll_drained(drain, cx),
            // The rest is the body's.
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
                // The look at the body may have spawned, and the response ends with its head.
                return AfterWait::WaitsAgain;
            }
            drain.complete();
        }
        AfterWait::GoesOn(so_far(drain))
    }
}
