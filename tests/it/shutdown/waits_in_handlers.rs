//! A handler, a hook or a body that awaits the shutdown does not wait for its own response.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{
    RunToCompletionLayer, TaskTrackerLayer, TrackerHandle, Unfinished, named, spawn,
};

use super::WaitLog;
use crate::run_to_completion::poll_and_leave;
use crate::support::{after, full, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_handler_that_awaits_the_shutdown_waits_for_the_tasks_of_its_request() {
    for unfinished in [Unfinished::Continue, Unfinished::Abort] {
        let (log, layer) = observed();
        let layer = layer.at_deadline(unfinished);
        let (handle, got) = (layer.handle(), WaitLog::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = layer.layer(service_fn(move |_: Request<()>| {
            named("own").spawn(after(300));
            named("own detached").detached().spawn(after(400));
            let wait = g.stop("stop", &h);
            async move {
                wait.await;
                Ok::<_, Infallible>(full("stopped"))
            }
        }));
        let answer = service.oneshot(request()).await.expect("infallible");
        assert_eq!(got.times(), [("stop", ms(400))]);
        let report = got.report("stop");
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.completed, 2);
        drop(answer.into_body().collect().await);
        assert_eq!(log.report().spawned, 1);
        handle.wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_and_a_body_that_await_the_shutdown_do_not_wait_for_their_response() {
    let got = WaitLog::new();
    let handle = TrackerHandle::new();
    let (h, g) = (handle.clone(), got.clone());
    let layer = TaskTrackerLayer::new()
        .tracked_by(&handle)
        .before_release(move |_| g.stop("hook", &h));
    let service = tracked(&layer, || {
        spawn(after(100));
        named("detached").detached().spawn(after(300));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("hook", ms(300))]);

    let (handle, got) = (TrackerHandle::new(), WaitLog::new());
    let layer = TaskTrackerLayer::new().tracked_by(&handle);
    let (h, g) = (handle.clone(), got.clone());
    let service = layer.layer(service_fn(move |_: Request<()>| {
        spawn(after(300));
        let wait = g.stop("body", &h);
        let stream = async move {
            wait.await;
            Ok::<_, Infallible>(http_body::Frame::data(bytes::Bytes::from("stopped")))
        };
        let body = http_body_util::StreamBody::new(futures_util::stream::once(Box::pin(stream)));
        async { Ok::<_, Infallible>(Response::new(body)) }
    }));
    let answer = service.oneshot(request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    assert_eq!(got.times(), [("body", ms(300))]);
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_on_without_its_client_waits_as_the_task_that_it_is_then() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), WaitLog::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            let wait = g.stop("stop", &h);
            named("slow").detached().spawn(after(300));
            async move {
                wait.await;
                Ok::<_, Infallible>(full("stopped"))
            }
        }));
    poll_and_leave(service.oneshot(request()));
    handle.wait_idle().await;
    assert_eq!(got.times(), [("stop", ms(300))]);
    assert!(got.report("stop").is_clean());
}

/// Runs a handler that spawns a task of 100 ms and then waits somewhere in `work`.
pub(crate) async fn answered(
    layer: &TaskTrackerLayer,
    work: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Duration {
    let began = Instant::now();
    let service = layer.layer(service_fn(|_: Request<()>| {
        let work = work();
        async move {
            work.await;
            Ok::<_, Infallible>(full("done"))
        }
    }));
    let response = timeout(Duration::from_secs(60), service.oneshot(request())).await;
    drop(response.expect("it does not hang"));
    began.elapsed()
}
