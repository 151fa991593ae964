//! The failure of a required task, reported by a body that has begun.

use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::Frame;

use super::error::{BodyError, REQUIRED_FAILED};
use super::part::{Part, Polled};
use crate::http::grpc;

/// Returns what is passed on in place of `item`, and whether that reports the failure. If it does not, the next item
/// reports it.
pub(super) fn in_place_of<D, E>(
    item: Polled<D, E>,
    part: Part,
    is_grpc: bool,
) -> (Polled<D, E>, bool) {
    match (item, part) {
        // The end follows this item.
        (item, Part::Middle) => (item, false),
        // In gRPC the trailers alone hold the status of a call.
        (item, Part::Last) if is_grpc => (item, false),
        (Some(Ok(frame)), Part::End) if is_grpc => {
            let trailers = frame.into_trailers().unwrap_or_default();
            (Some(Ok(failed_trailers(trailers))), true)
        }
        // An error of the inner body is no success either.
        (Some(Err(error)), _) => (Some(Err(error)), true),
        _ => (None, false),
    }
}

/// A failure that the next item reports.
pub(super) struct Failing {
    grpc: bool,
    /// The inner body's trailers, if it has returned some. In a box, because they are large and rare.
    trailers: Option<Box<HeaderMap>>,
    /// The server has had a turn to send the frames in its buffer.
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
            // hyper discards its buffer if the error comes in the same poll.
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
