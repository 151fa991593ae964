//! How a body that has begun reports that a required task has failed.

use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::Frame;

use super::error::{BodyError, REQUIRED_FAILED};
use super::part::{Part, Polled};
use crate::http::grpc;

/// Returns what is passed on in place of the last item, and whether that reports the failure.
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

/// A failure that the next item reports.
pub(super) struct Failing {
    grpc: bool,
    /// Those of the inner body, if it has given some. In a box, because they are large and rare.
    trailers: Option<Box<HeaderMap>>,
    /// The server has had a turn to send what it has.
    has_had_turn: bool,
}

impl Failing {
    pub(super) fn new(grpc: bool, trailers: Option<HeaderMap>) -> Self {
        Self {
            grpc,
            trailers: trailers.map(Box::new),
            has_had_turn: false,
        }
    }

    /// Ready with the item that reports the failure.
    pub(super) fn poll<D>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<D>, BodyError>>> {
        if self.grpc {
            let trailers = self.trailers.take();
            let trailers = trailers.map_or_else(HeaderMap::new, |trailers| *trailers);
            return Poll::Ready(Some(Ok(failed_trailers(trailers))));
        }
        if !std::mem::replace(&mut self.has_had_turn, true) {
            // hyper discards what it has buffered if the error comes in the same poll.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(BodyError::RequiredFailed)))
    }
}

fn failed_trailers<D>(mut trailers: HeaderMap) -> Frame<D> {
    grpc::write_status(&mut trailers, grpc::Code::Internal, REQUIRED_FAILED);
    Frame::trailers(trailers)
}
