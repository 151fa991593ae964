//! What a body yields.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tower_task_tracker::BodyError;

pub(super) const GRPC_STATUS: &str = "grpc-status";
/// `INTERNAL`: what a failed required task is told as.
pub(super) const GRPC_FAILED: &str = "13";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Data(Bytes),
    Trailers,
    Error,
    /// It says that a required task has failed.
    Failed,
    End,
}

impl Item {
    pub(super) fn len(&self) -> u64 {
        match self {
            Item::Data(data) => data.len() as u64,
            Item::Trailers | Item::Error | Item::Failed | Item::End => 0,
        }
    }
}

/// The error of a body, with the layer or without.
pub(super) trait Told {
    fn item(&self) -> Item;
}

impl Told for &'static str {
    fn item(&self) -> Item {
        Item::Error
    }
}

impl Told for BodyError {
    fn item(&self) -> Item {
        if self.is_required_failed() {
            Item::Failed
        } else {
            Item::Error
        }
    }
}

/// What a frame is, as an item.
pub(super) fn item<E: Told>(polled: Option<Result<Frame<Bytes>, E>>) -> Item {
    let frame = match polled {
        None => return Item::End,
        Some(Err(error)) => return error.item(),
        Some(Ok(frame)) => frame,
    };
    match frame.into_data() {
        Ok(data) => Item::Data(data),
        Err(frame) => match frame.into_trailers() {
            Ok(trailers) if trailers == planned_trailers() => Item::Trailers,
            Ok(trailers) if says_failed(&trailers) => Item::Failed,
            other => panic!("nobody gave this frame: {other:?}"),
        },
    }
}

pub(super) fn planned_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

pub(super) fn says_failed(headers: &HeaderMap) -> bool {
    headers.get(GRPC_STATUS).is_some_and(|s| s == GRPC_FAILED)
}
