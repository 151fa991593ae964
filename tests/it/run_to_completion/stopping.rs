//! What stops a handler that runs on: no disconnect policy, but a deadline and the end of a shutdown.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, StatusCode};
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_task_tracker::{
    Outcome, RunToCompletionLayer, TaskScopeLayer, TaskState, TaskTrackerLayer, Unfinished, spawn,
};

use super::{Steps, handler, poll_and_leave};
use crate::support::{Log, Slot, after, current, full, ms, put, request, take};

#[tokio::test(start_paused = true)]
async fn no_disconnect_policy_stops_it() {
    let cancel = Unfinished::Cancel { grace: ms(300) };
    for (unfinished, reported) in [
        (Unfinished::Continue, ms(0)),
        (Unfinished::Abort, ms(100)),
        (cancel, ms(300)),
    ] {
        let (log, steps) = (Log::default(), Steps::default());
        let layer = TaskTrackerLayer::new()
            .at_disconnect(unfinished)
            .observer(log.clone());
        poll_and_leave(handler(&layer, &steps).oneshot(request()));
        tokio::time::sleep(reported + ms(1)).await;
        let report = log.report();
        assert_eq!(report.outcome, Outcome::Dropped, "{unfinished:?}");
        assert_eq!(report.stragglers.len(), 1, "{report}");
        layer.handle().wait_idle().await;
        assert_eq!(steps.taken(), 2, "{unfinished:?}");
        assert_eq!(log.late_ends()[0].state, TaskState::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_s_token_is_cancelled_for_it_too() {
    let log = Log::default();
    let seen = Slot::<Duration>::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Cancel { grace: ms(500) })
        .observer(log.clone());
    let out = seen.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            let out = out.clone();
            async move {
                let start = Instant::now();
                current().cancellation_token().cancelled().await;
                put(&out, start.elapsed());
                Ok::<_, Infallible>(full("stopped"))
            }
        }));
    poll_and_leave(service.oneshot(request()));
    layer.handle().wait_idle().await;
    assert_eq!(take(&seen), ms(0), "asked at once");
    assert_eq!(log.report().completed, 1, "it had time to end by itself");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_it_and_aborts_it_in_the_end() {
    let (log, steps) = (Log::default(), Steps::default());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    poll_and_leave(handler(&layer, &steps).oneshot(request()));
    let report = layer.handle().shutdown(ms(2000)).await;
    assert_eq!((report.waited, report.completed), (ms(1000), 1));
    assert_eq!(steps.taken(), 2);

    let layer = TaskTrackerLayer::new().at_disconnect(Unfinished::Abort);
    poll_and_leave(handler(&layer, &steps).oneshot(request()));
    let report = layer.handle().shutdown(ms(300)).await;
    assert_eq!((report.aborted, report.still_running.len()), (1, 0));
    assert_eq!(steps.taken(), 3, "it did not come to its end");
}

#[tokio::test(start_paused = true)]
async fn a_handler_in_two_such_layers_is_aborted_at_the_deadline_and_counted_once() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(500))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            ms(100),
        ))
        // Of the router, and of the route.
        .layer(RunToCompletionLayer::new())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(600_000).await;
            Ok::<_, Infallible>(full("written"))
        }));
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!((report.spawned, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_handler_in_three_such_layers() {
    let layer = TaskTrackerLayer::new();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .layer(RunToCompletionLayer::new())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(600_000).await;
            Ok::<_, Infallible>(full("written"))
        }));
    poll_and_leave(service.oneshot(request()));
    let report = layer.handle().shutdown(ms(100)).await;
    let counts = (report.aborted, report.still_running.len());
    assert_eq!(counts, (1, 0), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_an_aborted_task_has_called_ends_with_it() {
    let log = Log::default();
    let inner = RunToCompletionLayer::new().layer(service_fn(|(): ()| async {
        after(500).await;
        Ok::<_, Infallible>(())
    }));
    let layer = TaskScopeLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(move |(): ()| {
        spawn(inner.clone().oneshot(()));
        std::future::pending::<Result<(), Infallible>>()
    }));
    poll_and_leave(service.oneshot(()));
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.spawned, report.aborted), (1, 1), "{report}");
}
