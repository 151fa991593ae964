//! A body that streams: its length is unknown, so that a server polls it to its end.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Service, service_fn};

/// A body of this many frames, each ready at once.
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
            // Hides from the compiler that there is nothing to drop.
            let data = black_box(Bytes::from_static(b"thank you"));
            Ok(Frame::data(data))
        });
        Poll::Ready(frame)
    }
}

/// Returns a handler that spawns nothing and streams this many frames.
pub(crate) fn stream(
    frames: usize,
) -> impl Service<Request<()>, Response = Response<Frames>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(
        move |_: Request<()>| async move { Ok::<_, Infallible>(Response::new(Frames(frames))) },
    )
}
