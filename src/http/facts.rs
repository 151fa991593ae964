//! What a response says of itself.

use http::{Response, StatusCode};
use http_body::{Body, SizeHint};

use super::hold::{Exchange, Facts, content_length};
use crate::settings::Hold;

impl Facts {
    /// Asks the body, which may spawn. How it is held, and whether a required task is alive, is to be filled in.
    #[inline]
    pub(super) fn of<B: Body, E>(result: &Result<Response<B>, E>, exchange: Exchange) -> Self {
        let Ok(response) = result else {
            return Self::of_error(exchange);
        };
        let size_hint = response.body().size_hint();
        let content_length = match size_hint.exact() {
            // It goes before the header, which then need not be looked for.
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

    /// Nothing can follow an error: it is held like a head with its end.
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
