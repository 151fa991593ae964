//! The layer around bodies of types that are hard to wrap.

use std::convert::Infallible;
use std::error::Error;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_task_tracker::Hold;

use super::harness::setup::{Setup, TEXT};
use super::stacks::{assert_worked, others};

#[tokio::test(start_paused = true)]
async fn around_a_boxed_body_with_a_boxed_error_it_holds() {
    type Boxed = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;

    let setup = Setup::default();
    let gate = setup.gate.clone();
    let service = service_fn(move |_: Request<Incoming>| {
        tower_task_tracker::spawn(gate.task());
        let body: Boxed = Full::from(TEXT).map_err(|never| match never {}).boxed();
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let stack = ServiceBuilder::new()
        .layer(others())
        .layer(setup.layer())
        .service(service);
    assert_worked(&setup.check_held(stack).await);
}

pin_project_lite::pin_project! {
    /// A body that may not be moved once it was polled.
    struct Fixed {
        #[pin]
        body: Full<Bytes>,
        #[pin]
        _pinned: PhantomPinned,
    }
}

impl Body for Fixed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[tokio::test(start_paused = true)]
async fn around_a_body_that_may_not_be_moved_it_holds() {
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        let setup = Setup::default();
        let gate = setup.gate.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            tower_task_tracker::spawn(gate.task());
            let body = Fixed {
                body: Full::from(TEXT),
                _pinned: PhantomPinned,
            };
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
        setup
            .check_held(setup.layer().hold(hold).layer(service))
            .await;
    }
}
