//! What the handler has answered, until its head is let go.

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

/// What an HTTP service has answered, and what is held of it.
pub(super) struct Answer<B: Body, E> {
    pub(super) result: Result<Response<ResponseBody<B>>, E>,
    pub(super) plan: Plan,
}

/// What is held of an answer, and what was done about that so far.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: AnswerSettings,
    pub(super) exchange: Exchange,
    pub(super) held: Held,
    /// What is held once no required task is alive, where the head is held for those alone.
    pub(super) after_required: Option<Held>,
    /// The server sends the end with the head, and may never look at the body.
    pub(super) no_body: bool,
    /// The length after which a server ends the response, if it is known.
    pub(super) length: Option<u64>,
    /// The response is not the handler's any more.
    pub(super) failed: bool,
    pub(super) peek: Peek,
    pub(super) skip: Skip,
}

/// What is known before the first look of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Skip {
    #[default]
    Nothing,
    /// A task is alive, as it was when the handler answered.
    TaskCheck,
    /// The body was looked at just now.
    Peek,
}

/// What is done with the body before the first look of a wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peek {
    /// Nothing: it is a stream, or was looked at.
    None,
    /// It is dropped: no client gets it. With the length to write as `content-length`, if there is one.
    DropUnsent(Option<u64>),
    /// It is polled for its first frame, or with a length of zero for what comes after its data.
    FirstFrame(u64),
    /// It has reached its length, and may be polled again.
    PastLength,
}

impl Plan {
    /// Decides what is held, as far as that needs no poll of the body.
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
        // Who feeds the body must not wait for a reader any longer than that.
        if facts.required {
            let without = held_without_required(facts);
            plan.after_required = (without != held).then_some(without);
        }
        if held == Held::WhileRequired {
            drain.keep_for_required();
        }
        plan
    }

    /// Whether the response carries its report.
    pub(super) fn has_report(&self) -> bool {
        self.settings.report_extension == Some(true)
    }

    /// For a head that no body comes after.
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

    /// For a body of this length that was looked at, while no required task was alive.
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

    /// The body was asked whether it is there as a whole.
    fn record_peek(&mut self, peeked: Peeked) {
        self.peek = match peeked {
            // An HTTP/1 server does not read past the length: the body was dropped.
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
        // One that is not there yet is asked again when the required tasks are done.
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

    /// Before each look of a wait for the head: drops what the server will not ask for. A body of exact size is
    /// asked whether it is there as a whole.
    pub(super) fn peek(&mut self, drain: &mut Drain, cx: &mut Context<'_>) {
        let skip = std::mem::take(&mut self.plan.skip);
        if skip == Skip::Peek || matches!(self.plan.peek, Peek::None) {
            return;
        }
        let waits = match self.plan.held {
            Held::Upgraded | Held::Nothing | Held::End => false,
            // With nothing to wait for the body is not peeked into.
            Held::Head | Held::HeadIfWhole(_) if skip == Skip::TaskCheck => true,
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

    /// Watches what goes to the server, if it has a rest to watch: its body owns the request from now on.
    #[inline]
    pub(super) fn watch(&mut self, drain: &mut Drain) {
        let Ok(response) = &mut self.result else {
            return;
        };
        // Where everything was reported there is no rest.
        if !drain.is_over() {
            let rest = Rest {
                length: self.plan.length,
                grpc: is_grpc(response.headers()),
                is_http1: self.plan.exchange.is_http1,
            };
            response.body_mut().watch(drain.take(), rest);
        }
    }

    /// With the next look the body is asked again whether it is there as a whole.
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
                // A length of zero hyper leaves out, where the body has not ended.
                .filter(|length| has_length && !facts.is_end_stream && *length > 0);
            Peek::DropUnsent(length)
        } else if has_no_body(facts) {
            Peek::FirstFrame(0)
        } else {
            facts.size_hint.exact().map_or(Peek::None, Peek::FirstFrame)
        }
    }
}

/// RFC 9110, section 8.6. For 304 hyper leaves it out too.
fn may_have_length(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// As a server writes it that has the body: the answer to `HEAD` has the length of the answer to `GET`.
fn write_length<B>(response: &mut Response<B>, length: u64) {
    let headers: &mut HeaderMap = response.headers_mut();
    if !headers.contains_key(TRANSFER_ENCODING) {
        headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
}
