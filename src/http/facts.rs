//! Collects the facts about a response.

use http::{Response, StatusCode};
use http_body::{Body, SizeHint};

use super::hold::{Exchange, Facts, content_length};
use crate::settings::Hold;

impl Facts {
    /// Collects the facts of an answer. The caller fills in `hold` and `required` afterwards, because the methods of
    /// the body that this calls may spawn.
    #[inline]
    pub(super) fn of<B: Body, E>(result: &Result<Response<B>, E>, exchange: Exchange) -> Self {
        let Ok(response) = result else {
            return Self::of_error(exchange);
        };
        let size_hint = response.body().size_hint();
        let content_length = match size_hint.exact() {
            // An exact hint overrides the header, so no search for the header is needed.
            Some(_) => None,
            None => content_length(response.headers()),
        };
        Self {
            hold: Hold::Auto,
            exchange,
            status: response.status(),
            content_length,
            size_hint,
            is_end_stream: response.body().is_end_stream(),
            required: false,
        }
    }

    /// Returns the facts of a service error. Nothing can follow it, so it is held like a head without a body.
    fn of_error(exchange: Exchange) -> Self {
        Self {
            hold: Hold::Auto,
            exchange,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            content_length: None,
            size_hint: SizeHint::with_exact(0),
            is_end_stream: true,
            required: false,
        }
    }
}
