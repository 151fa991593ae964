//! How a body that has begun says that a required task has failed.

use http::HeaderMap;
use http_body::Frame;

use super::error::{BodyError, REQUIRED_FAILED};
use super::part::{Part, Polled};
use crate::http::grpc;

/// What is passed on in place of the last item, and whether that tells of the failure.
pub(super) fn in_place_of<D, E>(
    item: Polled<D, E>,
    part: Part,
    is_grpc: bool,
) -> (Polled<D, E>, bool) {
    match (item, part) {
        // The end comes after it.
        (item, Part::Middle) => (item, false),
        // In gRPC only the trailers say whether a call has succeeded.
        (item, Part::Last) if is_grpc => (item, false),
        (Some(Ok(frame)), Part::End) if is_grpc => {
            let trailers = frame.into_trailers().unwrap_or_default();
            (Some(Ok(failed_trailers(trailers))), true)
        }
        // It is no success in any case.
        (Some(Err(error)), _) => (Some(Err(error)), true),
        _ => (None, false),
    }
}

/// What reports the failure by itself. `trailers`: those of the inner body, if it has given some.
pub(super) fn end<D>(is_grpc: bool, trailers: Option<HeaderMap>) -> Result<Frame<D>, BodyError> {
    if is_grpc {
        Ok(failed_trailers(trailers.unwrap_or_default()))
    } else {
        Err(BodyError::RequiredFailed)
    }
}

fn failed_trailers<D>(mut trailers: HeaderMap) -> Frame<D> {
    grpc::write_status(&mut trailers, grpc::Code::Internal, REQUIRED_FAILED);
    Frame::trailers(trailers)
}
