//! `at_disconnect`: tasks run on, are asked to stop, or are aborted.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{TaskState, Tasks, Unfinished, named, spawn};

use super::{dropped, layer, left_after, slow};
use crate::support::{
    DropTime, Frames, LastWords, Log, Slot, after, current, ms, observed, put, request, take,
    tracked,
};

#[tokio::test(start_paused = true)]
async fn detached_by_default_a_task_runs_on_and_the_report_comes_at_once() {
    let (log, layer) = observed();
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
async fn when_a_client_leaves_the_token_is_cancelled_at_once() {
    for policy in [Unfinished::Abort, Unfinished::Cancel { grace: ms(100) }] {
        let (_, layer) = observed();
        let kept = Slot::default();
        let keep = kept.clone();
        let mut service = tracked(&layer.at_disconnect(policy), move || {
            put(&keep, current().cancellation_token());
            spawn(after(600_000));
        });
        let mut held = Box::pin(service.call(request()));
        assert!(futures_util::poll!(&mut held).is_pending());
        drop(held);
        assert!(take(&kept).is_cancelled(), "{policy:?}");
    }
}
