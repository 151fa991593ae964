//! A response that is dropped before its end: the client has gone.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Outcome, TaskState, TaskTrackerLayer, Tasks, Unfinished, named, spawn_blocking,
};

use crate::support::{
    DropTime, Frames, LastWords, Log, after, ms, request, runtime, told, tracked,
};

fn layer(log: &Log, unfinished: Unfinished) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .at_disconnect(unfinished)
        .observer(log.clone())
}

/// Serves a request that runs `start`; the client leaves while its head is held.
async fn left_after(
    layer: &TaskTrackerLayer,
    patience: u64,
    start: impl Fn() + Clone + Send + 'static,
) {
    let held = timeout(ms(patience), tracked(layer, start).oneshot(request())).await;
    assert!(held.is_err(), "it was not held");
}

/// A task that never ends, and is watched.
fn slow(watched: &DropTime) -> impl Fn() + Clone + Send + use<> {
    let watched = watched.clone();
    move || {
        let watch = watched.watch();
        named("slow").spawn(async move {
            let _watch = watch;
            after(60_000).await;
        });
    }
}

#[track_caller]
fn dropped(log: &Log) -> DrainReport {
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.closed_by, None);
    report
}

#[tokio::test(start_paused = true)]
async fn detached_by_default_a_task_runs_on_and_the_report_comes_at_once() {
    let (log, layer) = told();
    let watched = DropTime::new();
    left_after(&layer, 20, slow(&watched)).await;
    let report = dropped(&log);
    assert_eq!((report.stragglers.len(), report.held), (1, ms(20)));
    layer.handle().wait_idle().await;
    assert_eq!(watched.get(), Some(ms(60_000)));
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn aborted_a_task_ends_at_once_and_the_report_waits_for_its_destructors() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Abort);
    let watched = DropTime::new();
    left_after(&layer, 20, slow(&watched)).await;
    assert!(log.reports().is_empty(), "its policy is not through");
    layer.handle().wait_idle().await;
    assert_eq!(watched.get(), Some(ms(20)));
    let report = dropped(&log);
    assert_eq!((report.aborted, report.stragglers.len()), (1, 0));
    assert!(log.late_ends().is_empty(), "the report has it");
}

#[tokio::test(start_paused = true)]
async fn cancelled_a_task_has_the_grace_to_end_by_itself() {
    let log = Log::default();
    let grace = ms(1000);
    let layer = layer(&log, Unfinished::Cancel { grace });
    let (polite, deaf) = (DropTime::new(), DropTime::new());
    left_after(&layer, 20, {
        let (polite, deaf) = (polite.clone(), slow(&deaf));
        move || {
            let watch = polite.watch();
            let cancelled = Tasks::current().map(|tasks| tasks.cancellation_token());
            let cancelled = cancelled.expect("in a request");
            named("polite").spawn(async move {
                let _watch = watch;
                cancelled.cancelled().await;
                after(50).await;
                named("farewell").spawn(after(10));
            });
            deaf();
        }
    })
    .await;
    layer.handle().wait_idle().await;
    assert_eq!(polite.get(), Some(ms(20 + 50)));
    assert_eq!(
        deaf.get(),
        Some(ms(20 + 900)),
        "the last tenth is for destructors"
    );
    let report = dropped(&log);
    assert_eq!(report.spawned, 3, "what is spawned meanwhile is counted");
    assert_eq!((report.completed, report.aborted), (2, 1));
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_grace_beyond_the_clock_ends_with_the_tasks() {
    let log = Log::default();
    let grace = Duration::MAX;
    let layer = layer(&log, Unfinished::Cancel { grace });
    left_after(&layer, 20, slow(&DropTime::new())).await;
    layer.handle().wait_idle().await;
    assert!(dropped(&log).is_clean());
}

#[tokio::test(start_paused = true)]
async fn with_nothing_alive_the_report_comes_at_once_whatever_the_policy() {
    for unfinished in [Unfinished::Abort, Unfinished::Cancel { grace: ms(50) }] {
        let log = Log::default();
        let service = layer(&log, unfinished).layer(service_fn(|_: Request<()>| async {
            drop(named("quick").spawn(async {}).await);
            Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
        }));
        let Ok(answer) = service.oneshot(request()).await;
        drop(answer);
        assert!(dropped(&log).is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_is_counted_and_falls_under_the_policy() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Abort);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a"]).spawns_at_drop(500)))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    drop(answer);
    let left = Instant::now();
    layer.handle().wait_idle().await;
    assert_eq!(left.elapsed(), ms(0));
    assert_eq!(dropped(&log).aborted, 1);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_has_100_ms() {
    for (takes, completed) in [(99, 1), (101, 0)] {
        let log = Log::default();
        let layer = layer(&log, Unfinished::Abort);
        left_after(&layer, 20, move || {
            named("slow").spawn(async move {
                let _last_words = LastWords::new(move || {
                    named("last words").spawn(after(takes));
                });
                after(60_000).await;
            });
        })
        .await;
        layer.handle().wait_idle().await;
        let report = dropped(&log);
        assert_eq!((report.spawned, report.aborted), (2, 1), "{report}");
        assert_eq!(report.completed, completed, "{report}");
        assert_eq!(report.stragglers.len(), 1 - completed, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_task_has_not_failed_because_its_client_left() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Continue);
    left_after(&layer, 20, || {
        let order = async {
            after(500).await;
            Ok::<_, Infallible>(())
        };
        named("order").required().spawn(order);
    })
    .await;
    assert!(!dropped(&log).required_failed);
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_dropped_before_its_tasks_are_stopped() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Abort);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        let _last_words = LastWords::new(|| {
            let token = Tasks::current().map(|tasks| tasks.cancellation_token());
            let token = token.expect("it is dropped in its request");
            assert!(!token.is_cancelled(), "the policy comes after it");
            named("last words").spawn(async {});
        });
        named("slow").spawn(after(60_000));
        after(60_000).await;
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let answer = timeout(ms(20), service.oneshot(request())).await;
    assert!(answer.is_err());
    layer.handle().wait_idle().await;
    assert_eq!(dropped(&log).spawned, 2);
}

#[tokio::test(start_paused = true)]
async fn at_every_moment_a_drop_is_reported_once() {
    // Whichever part it is in: 0 to 10 the handler, to 40 the held head or the stream, and so on.
    for patience in [0, 5, 15, 25, 35, 45] {
        for streams in [false, true] {
            let log = Log::default();
            let layer = layer(&log, Unfinished::Abort);
            let service = layer.layer(service_fn(move |_: Request<()>| async move {
                named("slow").spawn(after(60_000));
                after(10).await;
                let body = Frames::new(["a", "b"]);
                let whole = Frames::new(["a"]).knows_its_end().always_hints(1);
                Ok::<_, Infallible>(Response::new(if streams { body } else { whole }))
            }));
            let exchange = async {
                let Ok(answer) = service.oneshot(request()).await;
                let mut body = answer.into_body();
                while body.frame().await.is_some() {
                    after(10).await;
                }
            };
            assert!(timeout(ms(patience), exchange).await.is_err());
            layer.handle().wait_idle().await;
            let report = log.reports();
            assert!(report.len() <= 1, "{patience} {streams}: {report:?}");
            if patience > 0 {
                assert_eq!(dropped(&log).aborted, 1, "{patience} {streams}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_gave_its_last_frame_is_complete() {
    let bodies: [fn() -> Frames; 2] = [
        || Frames::new(["a", "b"]).knows_its_end(),
        || Frames::new(["a", "b"]).always_hints(2),
    ];
    for body in bodies {
        let log = Log::default();
        let layer = layer(&log, Unfinished::Abort);
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            named("quick").spawn(after(2));
            Ok::<_, Infallible>(Response::new(body()))
        }));
        let Ok(answer) = service.oneshot(request()).await;
        let mut body = answer.into_body();
        for _ in 0..2 {
            assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
            after(5).await;
        }
        drop(body);
        assert_eq!(log.report().outcome, Outcome::Drained);
    }
}

#[test]
fn without_a_runtime_tasks_are_aborted_and_reported_at_once() {
    for unfinished in [Unfinished::Abort, Unfinished::Cancel { grace: ms(500) }] {
        let runtime = runtime();
        let log = Log::default();
        let layer = layer(&log, unfinished);
        let service = tracked(&layer, slow(&DropTime::new()));
        let mut held = Box::pin(service.oneshot(request()));
        runtime.block_on(async {
            let polled = futures_util::poll!(&mut held);
            assert!(polled.is_pending());
        });
        drop(held);
        let report = dropped(&log);
        assert_eq!(report.aborted + report.stragglers.len(), 1);
        // It was told to stop: its runtime drops it when it is driven again.
        runtime.block_on(layer.handle().wait_idle());
    }
}

#[test]
fn a_runtime_that_shuts_down_before_the_grace_is_over_reports_too() {
    let runtime = runtime();
    let log = Log::default();
    let grace = Duration::from_secs(3600);
    let layer = layer(&log, Unfinished::Cancel { grace });
    runtime.block_on(async {
        let mut held = Box::pin(tracked(&layer, slow(&DropTime::new())).oneshot(request()));
        let polled = futures_util::poll!(&mut held);
        assert!(polled.is_pending());
        drop(held);
    });
    assert!(log.reports().is_empty());
    drop(runtime);
    let report = dropped(&log);
    assert_eq!(report.aborted + report.stragglers.len(), 1);
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_is_a_straggler_when_its_client_leaves() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Abort);
    let (let_go, until) = std::sync::mpsc::channel::<()>();
    let until = std::sync::Arc::new(std::sync::Mutex::new(until));
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut held = Box::pin(
        tracked(&layer, move || {
            let (until, began) = (until.clone(), began.clone());
            spawn_blocking(move || {
                let _ = began.send(());
                let _ = until.lock().expect("no panic holds this lock").recv();
            });
        })
        .oneshot(request()),
    );
    assert!(futures_util::poll!(&mut held).is_pending());
    begun.recv().await;
    drop(held);
    for _ in 0..100 {
        // Paused time does not pass by itself while a blocking closure runs.
        tokio::time::advance(ms(10)).await;
    }
    assert_eq!(dropped(&log).stragglers.len(), 1);
    drop(let_go);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}
