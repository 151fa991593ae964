//! Layers that detect disconnects. Outside the tracker they also notice clients that leave a held response. Inside they
//! see the handler alone, and report a disconnect for a body that the tracker drops.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode, response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::on_early_drop::{OnBodyDrop, OnDropCallback, OnEarlyDropLayer, OnFutureDrop};
use tower_task_tracker::{Outcome, named};

use super::handlers::{stream, text};
use super::wire::exchange;
use super::{LIMIT, NoBody, answer, observed, request};
use crate::support::{Body, Log};

/// What was dropped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dropped {
    Future,
    Body,
}

/// All that was dropped, in its order.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<Dropped>>>);

/// Is called when it is dropped.
struct Callback(Seen, Dropped);

impl Seen {
    fn layer(&self) -> OnEarlyDropLayer<Self, Self> {
        OnEarlyDropLayer::new(self.clone())
    }

    fn all(&self) -> Vec<Dropped> {
        self.0.lock().expect("no panic holds this lock").clone()
    }
}

impl OnDropCallback for Callback {
    fn on_drop(self) {
        let Self(Seen(all), dropped) = self;
        all.lock().expect("no panic holds this lock").push(dropped);
    }
}

impl<R> OnFutureDrop<R> for Seen {
    type Callback = Callback;

    fn make(&mut self, _: &Request<R>) -> Callback {
        Callback(self.clone(), Dropped::Future)
    }
}

impl<R> OnBodyDrop<R> for Seen {
    type Intermediate = ();
    type Callback = Callback;

    fn make_at_call(&mut self, _: &Request<R>) {}

    fn make_at_response(&mut self, (): (), _: &response::Parts) -> Callback {
        Callback(self.clone(), Dropped::Body)
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_the_handler_runs_is_seen_in_both_orders() {
    let handler = || {
        service_fn(async |_: Request<NoBody>| {
            pending::<Result<http::Response<Body>, Infallible>>().await
        })
    };
    let seen = Seen::default();
    let stack = ServiceBuilder::new()
        .layer(seen.layer())
        .layer(observed(&Log::default()));
    let left = timeout(LIMIT, stack.service(handler()).oneshot(request())).await;
    assert!(left.is_err(), "the handler runs");
    assert_eq!(seen.all(), [Dropped::Future]);

    let seen = Seen::default();
    let stack = ServiceBuilder::new()
        .layer(observed(&Log::default()))
        .layer(seen.layer());
    let left = timeout(LIMIT, stack.service(handler()).oneshot(request())).await;
    assert!(left.is_err(), "the handler runs");
    assert_eq!(seen.all(), [Dropped::Future]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_held_head_is_seen_only_from_outside() {
    let (seen, log) = (Seen::default(), Log::default());
    let stack = ServiceBuilder::new()
        .layer(seen.layer())
        .layer(observed(&log));
    let left = timeout(
        LIMIT,
        stack.service(text(Duration::ZERO)).oneshot(request()),
    )
    .await;
    assert!(left.is_err(), "its head is held");
    assert_eq!(seen.all(), [Dropped::Future]);
    assert_eq!(log.report().outcome, Outcome::Dropped);

    let (seen, log) = (Seen::default(), Log::default());
    let stack = ServiceBuilder::new()
        .layer(observed(&log))
        .layer(seen.layer());
    let left = timeout(
        LIMIT,
        stack.service(text(Duration::ZERO)).oneshot(request()),
    )
    .await;
    assert!(left.is_err(), "its head is held");
    assert_eq!(seen.all(), [], "the handler has answered");
    assert_eq!(log.report().outcome, Outcome::Dropped);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_held_end_is_seen_only_from_outside() {
    let (seen, log) = (Seen::default(), Log::default());
    let stack = ServiceBuilder::new()
        .layer(seen.layer())
        .layer(observed(&log));
    let (streamed, _) = answer(stack.service(stream())).await;
    let left = timeout(LIMIT, streamed.into_body().collect()).await;
    assert!(left.is_err(), "its end is held");
    assert_eq!(seen.all(), [Dropped::Body]);
    assert_eq!(log.report().outcome, Outcome::Dropped);

    let (seen, log) = (Seen::default(), Log::default());
    let stack = ServiceBuilder::new()
        .layer(observed(&log))
        .layer(seen.layer());
    let (streamed, _) = answer(stack.service(stream())).await;
    let left = timeout(LIMIT, streamed.into_body().collect()).await;
    assert!(left.is_err(), "its end is held");
    assert_eq!(seen.all(), [], "the body has come to its end");
    assert_eq!(log.report().outcome, Outcome::Dropped);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_ends_is_no_drop_in_both_orders() {
    let seen = Seen::default();
    let outside = || {
        ServiceBuilder::new()
            .layer(seen.layer())
            .layer(observed(&Log::default()))
    };
    let inside = || {
        ServiceBuilder::new()
            .layer(observed(&Log::default()))
            .layer(seen.layer())
    };
    for got in [
        exchange(outside().service(text(Duration::ZERO))).await,
        exchange(outside().service(stream())).await,
        exchange(inside().service(text(Duration::ZERO))).await,
        exchange(inside().service(stream())).await,
    ] {
        assert!(got.is_whole, "{got:?}");
    }
    assert_eq!(seen.all(), []);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_a_failure_replaces_is_taken_for_a_drop_inside() {
    let handler = || {
        service_fn(async |request: Request<Incoming>| {
            let order = async {
                tokio::time::sleep(LIMIT).await;
                Err::<(), _>("no stock")
            };
            named("order").required().spawn(order);
            stream().oneshot(request).await
        })
    };
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    let seen = Seen::default();
    let stack = ServiceBuilder::new()
        .layer(seen.layer())
        .layer(observed(&Log::default()));
    let got = exchange(stack.service(handler())).await;
    assert_eq!((got.head.status, got.is_whole), (failed, true));
    assert_eq!(seen.all(), []);

    let seen = Seen::default();
    let stack = ServiceBuilder::new()
        .layer(observed(&Log::default()))
        .layer(seen.layer());
    let got = exchange(stack.service(handler())).await;
    assert_eq!((got.head.status, got.is_whole), (failed, true));
    assert_eq!(seen.all(), [Dropped::Body], "the client is there");
}
