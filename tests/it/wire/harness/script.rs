//! A response body that follows a script.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use crate::wire::harness::gate::Gate;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What the body does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Data(&'static str),
    /// The field `x-sum: 6`.
    Trailers,
    Fail,
    /// Nothing yet, but at the next turn of the scheduler.
    Turn,
    /// Nothing, and nothing after it.
    Stall,
    /// The task is spawned here, while the body is polled, and not by the handler.
    Spawn,
}

/// The body. It is an error to poll it after its end.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) steps: &'static [Step],
    /// What is left of the length in its `size_hint`.
    pub(crate) size: Option<u64>,
    /// Whether it shows at its last frame that nothing follows, as a whole body does and a stream
    /// cannot.
    pub(crate) observed: bool,
    /// What the task of [`Step::Spawn`] waits for.
    pub(crate) gate: Option<Gate>,
    pub(crate) ended: bool,
}

impl Script {
    pub(crate) fn new(
        steps: &'static [Step],
        size: Option<u64>,
        observed: bool,
        gate: Option<Gate>,
    ) -> Self {
        Self {
            steps,
            size,
            observed,
            gate,
            ended: false,
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        assert!(!self.ended, "the body was polled after its end");
        loop {
            let Some((step, rest)) = self.steps.split_first() else {
                self.ended = true;
                return Poll::Ready(None);
            };
            self.steps = rest;
            let item = match step {
                Step::Data(text) => {
                    if let Some(left) = &mut self.size {
                        *left = left.saturating_sub(text.len() as u64);
                    }
                    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
                }
                Step::Trailers => Ok(Frame::trailers(trailers())),
                Step::Fail => {
                    self.ended = true;
                    Err("the body fails".into())
                }
                Step::Turn => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Step::Stall => {
                    self.steps = &[Step::Stall];
                    return Poll::Pending;
                }
                Step::Spawn => {
                    if let Some(gate) = &self.gate {
                        tower_task_tracker::spawn(gate.task());
                    }
                    continue;
                }
            };
            return Poll::Ready(Some(item));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.observed && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn trailers() -> HeaderMap {
    let field = (
        HeaderName::from_static("x-sum"),
        HeaderValue::from_static("6"),
    );
    HeaderMap::from_iter([field])
}
