//! A streamed body whose end is held by hand.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::contenders::TIMEOUT;
use crate::frames::Frames;

/// A body whose end waits for the tasks of a tracker.
pub(crate) struct HeldEnd {
    frames: Frames,
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl HeldEnd {
    pub(crate) fn new(frames: Frames, tracker: TaskTracker) -> Self {
        let drained = async move {
            tracker.close();
            let _ = timeout(TIMEOUT, tracker.wait()).await;
        };
        Self {
            frames,
            drained: Box::pin(drained),
        }
    }
}

impl Body for HeldEnd {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = ready!(Pin::new(&mut self.frames).poll_frame(cx));
        if frame.is_none() {
            // Not polled after it has ended: a caller does not poll a body after its end.
            ready!(self.drained.as_mut().poll(cx));
        }
        Poll::Ready(frame)
    }
}
