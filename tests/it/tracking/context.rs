//! Where `Tasks::current` finds the request.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, Tasks, spawn};

use crate::support::{after, current, full, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn the_request_is_current_in_call_in_poll_in_tasks_and_nowhere_else() {
    assert!(Tasks::current().is_none());
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|request: Request<()>| {
        assert!(Tasks::current().is_some(), "while the service is called");
        assert!(request.extensions().get::<Tasks>().is_some());
        async {
            assert!(Tasks::current().is_some(), "while the handler is polled");
            tokio::spawn(async { assert!(Tasks::current().is_none(), "in a plain spawn") })
                .await
                .expect("the assertion holds");
            let tasks = Tasks::current().expect("after the handler has waited");
            tasks
                .spawn(async { assert!(Tasks::current().is_some(), "in a task") })
                .await
                .expect("the assertion holds");
            tasks
                .spawn_blocking(|| assert!(Tasks::current().is_some(), "in a closure"))
                .await
                .expect("the assertion holds");
            Ok::<_, Infallible>(full("ok"))
        }
    }));
    service.oneshot(request()).await.expect("infallible");
    assert!(Tasks::current().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_scope_brings_the_context_to_code_that_lost_it() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let tasks = current();
        let token = tasks.token();
        tokio::spawn(tasks.within(async move {
            spawn(after(20));
            drop(token);
        }));
    });
    let start = tokio::time::Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed().as_millis(), 20);
    assert_eq!(log.report().spawned, 2);
}

/// Streams three frames, and records where it was polled.
struct Watching(u8);

impl Body for Watching {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(Tasks::current().is_some(), "while the body is polled");
        self.0 += 1;
        Poll::Ready((self.0 <= 3).then(|| Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        assert!(Tasks::current().is_some(), "while the body is dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_is_current_while_its_body_is_polled_and_dropped() {
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Watching(0)))
    }));
    let response = service
        .clone()
        .oneshot(request())
        .await
        .expect("infallible");
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "xxx");
    drop(service.oneshot(request()).await);
}
