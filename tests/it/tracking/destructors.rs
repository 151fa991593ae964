//! What the destructor of a handler, a task or a closure spawns is tracked.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, spawn};

use crate::support::{after, full, observed, request};

#[tokio::test(start_paused = true)]
async fn what_the_destructors_of_handler_task_and_closure_spawn_is_tracked() {
    struct SpawnsWhenDropped(&'static str);
    impl Drop for SpawnsWhenDropped {
        fn drop(&mut self) {
            tower_task_tracker::named(self.0).spawn(after(1));
        }
    }
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| {
        let of_handler = SpawnsWhenDropped("handler");
        async move {
            let _of_handler = of_handler;
            let of_task = SpawnsWhenDropped("task");
            spawn(async move { drop(of_task) });
            let of_aborted = SpawnsWhenDropped("aborted");
            spawn(async move {
                after(1000).await;
                drop(of_aborted);
            })
            .abort();
            let of_closure = SpawnsWhenDropped("closure");
            tower_task_tracker::spawn_blocking(move || drop(of_closure));
            Ok::<_, Infallible>(full("ok"))
        }
    }));
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!(
        report.spawned, 7,
        "three tasks, and what four destructors spawn"
    );
    assert_eq!((report.completed, report.aborted), (6, 1));
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_destructor_of_the_handlers_future_spawns_is_tracked() {
    struct AnswersAtOnce;
    impl Future for AnswersAtOnce {
        type Output = Result<Response<crate::support::Body>, Infallible>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(full("ok")))
        }
    }
    impl Drop for AnswersAtOnce {
        fn drop(&mut self) {
            spawn(after(20));
        }
    }
    let service = service_fn(|_: Request<()>| AnswersAtOnce);
    let start = tokio::time::Instant::now();
    drop(
        TaskTrackerLayer::new()
            .layer(service)
            .oneshot(request())
            .await,
    );
    assert_eq!(start.elapsed().as_millis(), 20);
}
