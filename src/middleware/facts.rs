//! What a response says of itself.

use http::Response;
use http_body::Body;

use super::hold::{Exchange, Facts, content_length};
use crate::settings::Hold;

impl Facts {
    /// `required`: a task is alive that the response fails with.
    pub(super) fn of<B: Body>(
        response: &Response<B>,
        exchange: Exchange,
        hold: Hold,
        required: bool,
    ) -> Self {
        let size_hint = response.body().size_hint();
        let content_length = match size_hint.exact() {
            // It goes before the header, which then need not be looked for.
            Some(_) => None,
            None => content_length(response.headers()),
        };
        Self {
            hold,
            exchange,
            status: response.status(),
            content_length,
            size_hint,
            is_end_stream: response.body().is_end_stream(),
            required,
        }
    }
}
