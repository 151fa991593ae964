//! The innermost services of the stacks.

use std::convert::Infallible;
use std::time::Duration;
use std::vec::IntoIter;

use bytes::Bytes;
use futures_util::stream::{Iter, iter};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tower::{Service, service_fn};
use tower_task_tracker::named;

use super::WORK;
use crate::support::full;

/// Long enough to be worth the while of a compressor.
pub(super) const TEXT: &str = "a text that is long enough to be worth the while of a compressor";

/// What a handler does here beside its answer.
pub(super) fn leave_work_behind() {
    named("work").spawn(tokio::time::sleep(WORK));
}

/// A text that is there as a whole, after so long, and work left behind before that.
pub(super) fn text<R: Send + 'static>(
    takes: Duration,
) -> impl Service<
    Request<R>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + use<R>,
> + Clone
+ use<R> {
    service_fn(move |_| async move {
        leave_work_behind();
        // A sleep of zero may be one tick of the timer.
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        Ok(full(TEXT))
    })
}

/// Its frames are there at once, and how many there are is not known.
pub(super) type Streamed = StreamBody<Iter<IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// The same text as a stream of unknown length.
pub(super) fn stream<R: Send + 'static>() -> impl Service<
    Request<R>,
    Response = Response<Streamed>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Streamed>, Infallible>> + Send + use<R>,
> + Clone
+ use<R> {
    service_fn(async |_| {
        leave_work_behind();
        let frames = vec![Ok(Frame::data(Bytes::from(TEXT)))];
        Ok(Response::new(StreamBody::new(iter(frames))))
    })
}
