//! What the handler has answered, until its head is let go.

use std::task::Context;

use http::Response;
use http_body::Body;

use super::body::ResponseBody;
use super::grpc::is_grpc;
use super::hold::{
    Exchange, Facts, Held, has_no_body, held, held_without_required, is_never_sent, known_length,
};
use crate::drain::Drain;
use crate::settings::{AnswerSettings, Hold};

/// What an HTTP service has answered, and what is held of it.
pub(super) struct Answer<B: Body, E> {
    pub(super) result: Result<Response<ResponseBody<B>>, E>,
    pub(super) settings: AnswerSettings,
    pub(super) held: Held,
    /// What is held once no required task is alive, where the head is held for those alone.
    pub(super) after_required: Option<Held>,
    /// The server sends the end with the head, and may never look at the body.
    pub(super) no_body: bool,
    /// The length after which a server ends the response, if it knows one.
    pub(super) length: Option<u64>,
    /// The response is not the handler's any more.
    pub(super) failed: bool,
}

impl<B: Body, E> Answer<B, E> {
    /// Decides what is held. A body that may be there as a whole is asked for its first frame.
    pub(super) fn new(
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
                    after_required: None,
                    no_body: true,
                    length: None,
                    failed: false,
                };
            }
        };
        let required = said.is_some_and(|said| said.required_unfinished);
        let facts = Facts::of(&response, exchange, hold, required);
        let (parts, body) = response.into_parts();
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
        let after_required = if facts.required {
            Some(held_without_required(&facts)).filter(|without| *without != Held::Head)
        } else {
            None
        };
        Self {
            result: Ok(Response::from_parts(parts, body)),
            settings,
            held,
            after_required,
            no_body: has_no_body(&facts),
            length: known_length(&facts.size_hint, facts.content_length),
            failed: false,
        }
    }
}

/// What goes to the server, with the request's owner in the body if it has a rest to watch.
pub(super) fn released<B: Body, E>(
    mut result: Result<Response<ResponseBody<B>>, E>,
    drain: Drain,
    length: Option<u64>,
) -> Result<Response<ResponseBody<B>>, E> {
    if let Ok(response) = &mut result {
        let grpc = is_grpc(response.headers());
        response.body_mut().watch(drain, length, grpc);
    }
    result
}
