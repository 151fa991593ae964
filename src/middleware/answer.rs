//! What the handler has answered, until its head is let go.

use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;

use super::body::ResponseBody;
use super::hold::{
    Exchange, Facts, Held, content_length, has_no_body, held, is_never_sent, known_length,
};
use crate::drain::Drain;
use crate::settings::Hold;

/// What an HTTP service has answered, and what is held of it.
pub(crate) struct Answer<B: Body, E> {
    result: Result<Response<ResponseBody<B>>, E>,
    held: Held,
    /// The server sends the end with the head, and may never look at the body.
    no_body: bool,
    /// The length after which a server ends the response, if it knows one.
    length: Option<u64>,
}

impl<B: Body, E> Answer<B, E> {
    pub(crate) fn new(
        result: Result<Response<B>, E>,
        exchange: Exchange,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Self {
        let hold = drain
            .registry()
            .map_or(Hold::Never, |registry| registry.hold());
        let response = match result {
            Ok(response) => response,
            // Nothing can follow it: it is held like a head with its end.
            Err(error) => {
                return Self {
                    result: Err(error),
                    held: match hold {
                        Hold::Never => Held::Nothing,
                        Hold::Auto | Hold::Head | Hold::End => Held::Head,
                    },
                    no_body: true,
                    length: None,
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
        };
        let (body, held) = match held(&facts) {
            // With no task alive the body is not looked into.
            Held::HeadIfThere(length) if drain.must_wait() => {
                let (body, is_there) = ResponseBody::peek(body, length, drain, cx);
                (body, if is_there { Held::Head } else { Held::End })
            }
            // A body that is not asked for would block the tasks that feed it, and they the head. One
            // that is there as a whole blocks nobody, and stays.
            Held::Head if is_never_sent(&facts) && !facts.is_end_stream && drain.must_wait() => {
                let length = facts.size_hint.exact().unwrap_or(u64::MAX);
                let (mut body, is_there) = ResponseBody::peek(body, length, drain, cx);
                if !is_there {
                    body.drop_unsent(drain);
                }
                (body, Held::Head)
            }
            held => (ResponseBody::new(body), held),
        };
        Self {
            result: Ok(Response::from_parts(parts, body)),
            held,
            no_body: has_no_body(&facts),
            length: known_length(&facts.size_hint, facts.content_length),
        }
    }

    /// Ready when the head may go.
    pub(crate) fn poll_released(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<()> {
        let report = loop {
            match self.held {
                Held::Upgraded => drain.upgrade(),
                Held::Nothing => drain.keep_nothing_back(),
                Held::Head => ready!(drain.poll_drained(cx)),
                // The rest is the body's.
                Held::HeadIfThere(_) => break drain.report_so_far(),
                Held::End => break None,
            }
            if !self.ends_with_head() {
                if self.no_body {
                    drain.complete();
                }
                break drain.report_so_far();
            }
            // Only a task that came up at the last moment is in the way: it has to be waited for.
            if let Ok(report) = drain.try_finish() {
                break report;
            }
        };
        let is_head = matches!(self.held, Held::Head | Held::HeadIfThere(_));
        if let (true, Some(report), Ok(response)) = (is_head, report, &mut self.result) {
            response.extensions_mut().insert(report);
        }
        Poll::Ready(())
    }

    /// What goes to the server, with the request's owner in the body if it has a rest to watch.
    pub(crate) fn into_result(self, drain: Drain) -> Result<Response<ResponseBody<B>>, E> {
        let mut result = self.result;
        if let Ok(response) = &mut result {
            response.body_mut().watch(drain, self.length);
        }
        result
    }

    /// Whether nothing can come after the head.
    fn ends_with_head(&self) -> bool {
        match &self.result {
            Ok(response) => response.body().inner_has_ended(),
            Err(_) => true,
        }
    }
}
