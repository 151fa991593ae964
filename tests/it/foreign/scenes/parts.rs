//! Handlers and futures that scenes are made of.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{TaskTrackerLayer, TaskTrackerService};

use crate::foreign::stage::{Stage, planned};
use crate::support::{Body, Frames, after, current, full};

/// A handler that runs `start` and answers with a whole body.
pub(super) fn tracked<F>(
    stage: &Stage,
    layer: &TaskTrackerLayer,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + use<F>,
    > + use<F>,
>
where
    F: Fn(&Stage) + Clone + 'static,
{
    let stage = stage.clone();
    layer.layer(service_fn(move |_: Request<()>| {
        let (stage, start) = (stage.clone(), start.clone());
        async move {
            stage.in_request();
            start(&stage);
            Ok(full("done"))
        }
    }))
}

/// A handler that runs `start` and answers with a body of two frames, whose length is not known.
pub(super) fn streaming<F>(
    stage: &Stage,
    layer: &TaskTrackerLayer,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Frames>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Frames>, Infallible>> + use<F>,
    > + use<F>,
>
where
    F: Fn(&Stage) + Clone + 'static,
{
    let stage = stage.clone();
    layer.layer(service_fn(move |_: Request<()>| {
        let (stage, start) = (stage.clone(), start.clone());
        async move {
            stage.in_request();
            start(&stage);
            Ok(Response::new(Frames::new(["a", "b"])))
        }
    }))
}

pub(super) async fn succeeds(millis: u64) -> Result<(), Infallible> {
    after(millis).await;
    Ok(())
}

pub(super) async fn fails<E: Display>(millis: u64, error: E) -> Result<(), E> {
    after(millis).await;
    Err(error)
}

pub(super) async fn panics(millis: u64) {
    after(millis).await;
    planned();
}

/// Ends when it is cancelled.
pub(super) fn cancellable() -> impl Future<Output = ()> + Send {
    let token = current().cancellation_token();
    async move {
        let _ = tokio::time::timeout(Duration::from_millis(700), token.cancelled()).await;
    }
}
