//! The handler's answer, until its head goes out.

use std::task::Context;

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::Body;

use super::body::{Peeked, ResponseBody, Rest};
use super::grpc::is_grpc;
use super::hold::{
    Exchange, Facts, Held, MethodKind, has_no_body, held, held_without_required, is_never_sent,
    known_length,
};
use crate::drain::Drain;
use crate::request::tuning::Answered;
use crate::settings::AnswerSettings;

/// The answer of an HTTP service, and what is held of it.
pub(super) struct Answer<B: Body, E> {
    pub(super) result: Result<Response<ResponseBody<B>>, E>,
    pub(super) plan: Plan,
}

/// What is held of an answer, and the steps that are left.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: AnswerSettings,
    pub(super) exchange: Exchange,
    pub(super) held: Held,
    /// What is held once no required task is alive. `Some` if the head is held for required tasks alone.
    pub(super) after_required: Option<Held>,
    /// The server sends the end with the head, and may never poll the body.
    pub(super) no_body: bool,
    /// The length after which a server ends the response, if it is known.
    pub(super) length: Option<u64>,
    /// A failure has replaced the handler's response.
    pub(super) failed: bool,
    pub(super) peek: Peek,
    pub(super) skip: Skip,
}

/// What the next [`peek`](Answer::peek) need not do again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Skip {
    #[default]
    Nothing,
    /// The check for tasks: one was alive when the handler answered, a moment ago.
    TaskCheck,
    /// The peek itself: the body was polled a moment ago.
    Peek,
}

/// What is done with the body before a check of the tasks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peek {
    /// Nothing: the body is a stream, or was polled far enough.
    None,
    /// The body is dropped, because no client gets it. The value is the length to write as `content-length`, if any.
    DropUnsent(Option<u64>),
    /// A body of this length is polled for its first frame. With a length of zero, it is polled for what follows its
    /// data.
    FirstFrame(u64),
    /// A body that has reached its length is polled again.
    PastLength,
}

impl Plan {
    /// Decides what is held, as far as this is possible without a poll of the body.
    pub(super) fn of(facts: &Facts, answered: &Answered, drain: &mut Drain) -> Self {
        let held = held(facts);
        let mut plan = Self {
            held,
            no_body: has_no_body(facts),
            length: known_length(&facts.size_hint, facts.content_length),
            peek: Peek::of(facts),
            skip: if answered.is_busy {
                Skip::TaskCheck
            } else {
                Skip::Nothing
            },
            ..Self::for_head(answered.settings, facts.exchange)
        };
        // A task that writes the body may need a reader, so the head is not held longer than for required tasks.
        if facts.required {
            let without = held_without_required(facts);
            plan.after_required = (without != held).then_some(without);
        }
        if held == Held::WhileRequired {
            drain.keep_for_required();
        }
        plan
    }

    /// Returns whether the response carries its report as an extension.
    pub(super) fn has_report(&self) -> bool {
        self.settings.report_extension == Some(true)
    }

    /// Returns the plan for a head without a body.
    fn for_head(settings: AnswerSettings, exchange: Exchange) -> Self {
        Self {
            settings,
            exchange,
            held: Held::Head,
            after_required: None,
            no_body: true,
            length: None,
            failed: false,
            peek: Peek::None,
            skip: Skip::Nothing,
        }
    }

    /// Returns the plan for a body of this length that was peeked at, while no required task was alive.
    pub(super) fn of_peeked(
        settings: AnswerSettings,
        exchange: Exchange,
        length: u64,
        peeked: Peeked,
    ) -> Self {
        let mut plan = Self {
            held: Held::HeadIfWhole(length),
            no_body: false,
            length: Some(length),
            skip: Skip::Peek,
            ..Self::for_head(settings, exchange)
        };
        plan.record_peek(peeked);
        plan
    }

    /// Updates the plan after a peek at the body.
    fn record_peek(&mut self, peeked: Peeked) {
        self.peek = match peeked {
            // An HTTP/1 server does not poll past the length, so the body was dropped.
            Peeked::Whole if self.exchange.is_http1 => Peek::None,
            Peeked::Whole => Peek::PastLength,
            Peeked::Part | Peeked::Pending => Peek::None,
        };
        if let Held::HeadIfWhole(_) = self.held {
            self.held = match peeked {
                Peeked::Whole => Held::Head,
                Peeked::Part | Peeked::Pending => Held::End,
            };
        }
        // A body that is not complete yet is peeked at again when the required tasks are done.
        if let (Peeked::Whole, Some(Held::HeadIfWhole(_))) = (peeked, self.after_required) {
            self.after_required = None;
        }
    }
}

impl<B: Body, E> Answer<B, E> {
    #[inline]
    pub(super) fn new(result: Result<Response<B>, E>, plan: Plan) -> Self {
        Self {
            result: result.map(|response| response.map(ResponseBody::new)),
            plan,
        }
    }

    /// Polls a body of exact size, to find out whether it is complete, and drops what the server will not poll for.
    /// Call this before each check of the tasks, while the head is held.
    pub(super) fn peek(&mut self, drain: &mut Drain, cx: &mut Context<'_>) {
        let skip = std::mem::take(&mut self.plan.skip);
        if skip == Skip::Peek || matches!(self.plan.peek, Peek::None) {
            return;
        }
        let waits = match self.plan.held {
            Held::Upgraded | Held::Nothing | Held::End => false,
            Held::Head | Held::HeadIfWhole(_) if skip == Skip::TaskCheck => true,
            // With nothing to wait for, the body is not polled ahead.
            Held::WhileRequired | Held::Head | Held::HeadIfWhole(_) => drain.must_wait(),
        };
        let (true, Ok(response)) = (waits, &mut self.result) else {
            return;
        };
        let length = match self.plan.peek {
            Peek::None => return,
            Peek::DropUnsent(length) => {
                self.plan.peek = Peek::None;
                if let Some(length) = length {
                    write_length(response, length);
                }
                response.body_mut().drop_all(drain);
                return;
            }
            Peek::FirstFrame(length) => length,
            Peek::PastLength => 0,
        };
        let body = response.body_mut();
        let peeked = body.peek(length, self.plan.exchange.is_http1, drain, cx);
        self.plan.record_peek(peeked);
    }

    /// Watches the end of the body, unless the request has ended. The body owns the request from now on.
    #[inline]
    pub(super) fn watch(&mut self, drain: &mut Drain) {
        let Ok(response) = &mut self.result else {
            return;
        };
        if !drain.is_over() {
            let rest = Rest {
                length: self.plan.length,
                grpc: is_grpc(response.headers()),
                is_http1: self.plan.exchange.is_http1,
            };
            response.body_mut().watch(drain.take(), rest);
        }
    }

    /// Makes the next [`peek`](Self::peek) poll the body again for its first frame.
    pub(super) fn peek_again(&mut self, length: u64) {
        self.plan.peek = Peek::FirstFrame(length);
    }
}

impl Peek {
    #[inline]
    fn of(facts: &Facts) -> Self {
        if is_never_sent(facts) {
            let has_length =
                facts.exchange.method == MethodKind::Head && may_have_length(facts.status);
            let length = facts
                .size_hint
                .exact()
                // hyper leaves out a length of zero if the body has not ended.
                .filter(|length| has_length && !facts.is_end_stream && *length > 0);
            Peek::DropUnsent(length)
        } else if has_no_body(facts) {
            Peek::FirstFrame(0)
        } else {
            facts.size_hint.exact().map_or(Peek::None, Peek::FirstFrame)
        }
    }
}

/// Returns whether a response to `HEAD` with this status may have a `content-length`: RFC 9110, section 8.6. hyper
/// leaves it out for 304 too.
fn may_have_length(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Writes `content-length` as a server does that has the body. So the answer to `HEAD` has the length of the answer to
/// `GET`.
fn write_length<B>(response: &mut Response<B>, length: u64) {
    let headers: &mut HeaderMap = response.headers_mut();
    if !headers.contains_key(TRANSFER_ENCODING) {
        headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
}
