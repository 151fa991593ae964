//! The axum extractor for `Tasks`.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::tasks::Tasks;
use crate::trace;

impl<S: Sync> FromRequestParts<S> for Tasks {
    type Rejection = MissingTaskTracker;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        find(parts).ok_or_else(|| MissingTaskTracker {
            method: parts.method.clone(),
            path: parts.uri.path().into(),
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Tasks {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(find(parts))
    }
}

fn find(parts: &Parts) -> Option<Tasks> {
    parts.extensions.get().cloned().or_else(Tasks::current)
}

/// The rejection of the extractor [`Tasks`]: the request has not reached a `TaskTrackerLayer`. Either there is no
/// layer, or it is further inside than the code that takes `Tasks`, such as a `from_fn` middleware.
///
/// As a response it is a 500 with a text that explains how to add the layer. It is also logged as an error.
#[derive(Debug, Clone)]
pub struct MissingTaskTracker {
    method: Method,
    path: Box<str>,
}

const TEXT: &str = "`tower_task_tracker::Tasks` was extracted from a request that has not reached a \
    `TaskTrackerLayer`. Either there is none: add `.layer(TaskTrackerLayer::new())` to the router, after the route. \
    Or it is further in than what takes `Tasks`, such as a middleware made by `from_fn`: of a router's layers the \
    last one is outside, so add the `TaskTrackerLayer` after that middleware";

impl fmt::Display for MissingTaskTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEXT)
    }
}

impl Error for MissingTaskTracker {}

impl IntoResponse for MissingTaskTracker {
    fn into_response(self) -> Response {
        // Logged here, not where the rejection is made: a rejection that is handled in another way is not an error.
        trace::layer_is_missing(&self.method, &self.path, TEXT);
        (StatusCode::INTERNAL_SERVER_ERROR, TEXT).into_response()
    }
}
