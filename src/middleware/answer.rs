//! What the handler has answered, until its head is let go.

use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use http_body::Body;

use super::body::ResponseBody;
use super::grpc::is_grpc;
use super::head::{Failure, write_server_timing};
use super::hold::{
    Exchange, Facts, Held, content_length, has_no_body, held, held_without_required, is_never_sent,
    known_length,
};
use crate::drain::Drain;
use crate::settings::{AnswerSettings, Hold};

/// What an HTTP service has answered, and what is held of it.
pub(crate) struct Answer<B: Body, E> {
    result: Result<Response<ResponseBody<B>>, E>,
    settings: AnswerSettings,
    held: Held,
    /// What is held once no required task is alive, where the head is held for those alone.
    then: Option<Held>,
    /// The server sends the end with the head, and may never look at the body.
    no_body: bool,
    /// The length after which a server ends the response, if it knows one.
    length: Option<u64>,
    /// The response is not the handler's any more.
    failed: bool,
}

impl<B: Body, E> Answer<B, E> {
    pub(crate) fn new(
        result: Result<Response<B>, E>,
        exchange: Exchange,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Self {
        let said = drain.answered();
        let settings = said.as_ref().map(|said| said.answer).unwrap_or_default();
        let hold = settings.hold.unwrap_or_default();
        let response = match result {
            Ok(response) => response,
            // Nothing can follow it: it is held like a head with its end.
            Err(error) => {
                return Self {
                    result: Err(error),
                    settings,
                    held: match hold {
                        Hold::Never => Held::Nothing,
                        Hold::Auto | Hold::Head | Hold::End => Held::Head,
                    },
                    then: None,
                    no_body: true,
                    length: None,
                    failed: false,
                };
            }
        };
        let (parts, body) = response.into_parts();
        let facts = Facts {
            hold,
            exchange,
            status: parts.status,
            content_length: content_length(&parts.headers),
            size_hint: body.size_hint(),
            is_end_stream: body.is_end_stream(),
            required: said.is_some_and(|said| said.required_unfinished),
        };
        let (body, held) = match held(&facts) {
            // With nothing to wait for the body is not looked into.
            Held::HeadIfThere(length) if drain.must_wait() => {
                let mut body = ResponseBody::new(body);
                let is_there = body.look(length, drain, cx);
                (body, if is_there { Held::Head } else { Held::End })
            }
            // A body that is not asked for would block the tasks that feed it, and they the head. One
            // that is there as a whole blocks nobody, and stays.
            Held::Head if is_never_sent(&facts) && !facts.is_end_stream && drain.must_wait() => {
                let length = facts.size_hint.exact().unwrap_or(u64::MAX);
                let mut body = ResponseBody::new(body);
                if !body.look(length, drain, cx) {
                    body.drop_unsent(drain);
                }
                (body, Held::Head)
            }
            held => (ResponseBody::new(body), held),
        };
        // Who feeds the body must not wait for a reader any longer than that.
        let without = held_without_required(&facts);
        Self {
            result: Ok(Response::from_parts(parts, body)),
            settings,
            held,
            then: (facts.required && without != Held::Head).then_some(without),
            no_body: has_no_body(&facts),
            length: known_length(&facts.size_hint, facts.content_length),
            failed: false,
        }
    }

    /// Ready when the head may go.
    pub(crate) fn poll_released(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        let report = loop {
            match self.held {
                Held::Upgraded => drain.upgrade(),
                Held::Nothing => drain.keep_nothing_back(),
                Held::Head => ready!(self.poll_drained(drain, cx)),
                // The rest is the body's.
                Held::HeadIfThere(_) | Held::End => {}
            }
            if self.fail(drain) {
                continue;
            }
            match self.held {
                Held::HeadIfThere(_) => break drain.report_so_far(),
                Held::End if drain.has_waited() => break drain.report_so_far(),
                Held::End => break None,
                Held::Upgraded | Held::Nothing | Held::Head => {}
            }
            if !self.ends_with_head() {
                if self.no_body {
                    drain.complete();
                }
                break drain.report_so_far();
            }
            // Only what came up at the last moment is in the way: it has to be waited for.
            if let Ok(report) = drain.try_finish() {
                // A task may have failed since the look above. No more can.
                self.fail(drain);
                break report;
            }
        };
        let is_head = matches!(self.held, Held::Head | Held::HeadIfThere(_));
        let was_held = is_head || drain.has_waited();
        if let (true, Ok(response)) = (was_held, &mut self.result) {
            if self.settings.server_timing == Some(true) && drain.has_waited() {
                write_server_timing(response.headers_mut(), drain.waited_for());
            }
            if let Some(report) = report {
                response.extensions_mut().insert(report);
            }
        }
        Poll::Ready(())
    }

    /// Ready when everything is done, or when the head is held no longer.
    fn poll_drained(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        if drain.poll_drained(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(then) = self.then.filter(|_| !drain.waits_for_required()) else {
            return Poll::Pending;
        };
        if self.fail(drain) {
            // Its body is gone: everything else has to end before it does.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.then = None;
        self.held = then;
        if let (Held::HeadIfThere(length), Ok(response)) = (then, &mut self.result) {
            let is_there = response.body_mut().look(length, drain, cx);
            self.held = if is_there { Held::Head } else { Held::End };
        }
        if self.held == Held::Head {
            // Looking at it may have changed something.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        drain.postpone();
        Poll::Ready(())
    }

    /// What goes to the server, with the request's owner in the body if it has a rest to watch.
    pub(crate) fn into_result(self, drain: Drain) -> Result<Response<ResponseBody<B>>, E> {
        let mut result = self.result;
        if let Ok(response) = &mut result {
            let grpc = is_grpc(response.headers());
            response.body_mut().watch(drain, self.length, grpc);
        }
        result
    }

    /// Puts a failure in the place of the handler's response, if there is one, and says whether it did
    /// so just now: what the body's destructor has spawned is to be waited for.
    fn fail(&mut self, drain: &mut Drain) -> bool {
        let (false, Some(failure), Ok(response)) =
            (self.failed, self.failure(drain), &mut self.result)
        else {
            return false;
        };
        self.failed = true;
        self.then = None;
        // Whatever was to be held before: this ends with its head.
        if self.held != Held::Nothing {
            self.held = Held::Head;
        }
        response.body_mut().drop_all(drain);
        let (mut parts, body) = std::mem::take(response).into_parts();
        failure.write(&mut parts);
        *response = Response::from_parts(parts, body);
        true
    }

    fn failure(&self, drain: &Drain) -> Option<Failure> {
        if self.held == Held::Upgraded {
            None
        } else if drain.required_failed() {
            let status = self.settings.failure_status;
            Some(Failure::Required(
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            ))
        } else if drain.is_cut_short() {
            self.settings.deadline_status.map(Failure::Deadline)
        } else {
            None
        }
    }

    /// Whether nothing can come after the head.
    fn ends_with_head(&self) -> bool {
        match &self.result {
            Ok(response) => response.body().inner_has_ended(),
            Err(_) => true,
        }
    }
}
