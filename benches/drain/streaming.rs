//! Bodies that stream: their length is not known, and a server asks for their end.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::contenders::TIMEOUT;

/// So many frames, each there at once.
pub(crate) struct Frames(pub(crate) usize);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.0.checked_sub(1).map(|left| {
            self.0 = left;
            // So that it is not known what there is to drop.
            let data = black_box(Bytes::from_static(b"thank you"));
            Ok(Frame::data(data))
        });
        Poll::Ready(frame)
    }
}

/// Frames, and an end that is held by hand.
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
            // Whoever has seen the end does not poll again.
            ready!(self.drained.as_mut().poll(cx));
        }
        Poll::Ready(frame)
    }
}
