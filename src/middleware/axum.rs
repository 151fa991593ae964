//! `Tasks` as an axum extractor.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::tasks::Tasks;

impl<S: Sync> FromRequestParts<S> for Tasks {
    type Rejection = MissingTaskTracker;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        find(parts).ok_or(MissingTaskTracker { _private: () })
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

/// The handler asked for [`Tasks`], but the request did not go through a `TaskTrackerLayer`.
///
/// As a response it is a 500 that says how to add the layer.
#[derive(Debug, Clone)]
pub struct MissingTaskTracker {
    _private: (),
}

impl fmt::Display for MissingTaskTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this handler takes `tower_task_tracker::Tasks`, but its route is not inside a \
             `TaskTrackerLayer`: add `.layer(TaskTrackerLayer::new())` to the router, after the \
             route",
        )
    }
}

impl Error for MissingTaskTracker {}

impl IntoResponse for MissingTaskTracker {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
