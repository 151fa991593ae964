//! What a body yields.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tower_task_tracker::BodyError;

const GRPC_STATUS: &str = "grpc-status";
/// The status of a failed required task: `INTERNAL`.
const GRPC_FAILED: &str = "13";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Data(Bytes),
    Trailers,
    Error,
    /// The layer ends the body this way if a required task has failed.
    Failed,
    End,
}

impl Item {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Item::Data(data) => data.len() as u64,
            Item::Trailers | Item::Error | Item::Failed | Item::End => 0,
        }
    }
}

/// The error of a body, with the layer or without.
pub(crate) trait BodyFailure {
    fn item(&self) -> Item;
}

impl BodyFailure for &'static str {
    fn item(&self) -> Item {
        Item::Error
    }
}

impl BodyFailure for BodyError {
    fn item(&self) -> Item {
        if self.is_required_failed() {
            Item::Failed
        } else {
            Item::Error
        }
    }
}

pub(crate) fn item<E: BodyFailure>(polled: Option<Result<Frame<Bytes>, E>>) -> Item {
    let frame = match polled {
        None => return Item::End,
        Some(Err(error)) => return error.item(),
        Some(Ok(frame)) => frame,
    };
    match frame.into_data() {
        Ok(data) => Item::Data(data),
        Err(frame) => match frame.into_trailers() {
            Ok(trailers) if trailers == planned_trailers() => Item::Trailers,
            Ok(trailers) if is_grpc_failure(&trailers) => Item::Failed,
            other => panic!("neither the handler nor the layer makes this frame: {other:?}"),
        },
    }
}

pub(super) fn planned_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

/// Whether gRPC headers or trailers contain the status of a failed required task.
pub(crate) fn is_grpc_failure(headers: &HeaderMap) -> bool {
    headers.get(GRPC_STATUS).is_some_and(|s| s == GRPC_FAILED)
}
