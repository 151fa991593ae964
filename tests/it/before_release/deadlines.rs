//! A hook is part of the drain window: it is dropped at the deadline.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Hold, Limit, Outcome, TaskTrackerLayer, Tasks, Unfinished, named, spawn,
};

use super::{Calls, held_whole, layer};
use crate::support::{
    DropTime, Frames, LastWords, Log, Slot, after, current, held, ms, observed, put, request, take,
    tracked,
};

/// `set_drain_timeout` during a drain re-arms it. This holds with no task alive, too.
#[tokio::test(start_paused = true)]
async fn a_deadline_moved_while_only_a_hook_is_waited_for_is_noticed() {
    let tasks = Slot::<Tasks>::default();
    let handed_out = tasks.clone();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(20_000))
        .before_release(|_| pending());
    tokio::spawn(async move {
        after(100).await;
        take(&tasks).set_drain_timeout(ms(200));
    });
    let took = held(&layer, move || put(&handed_out, current())).await;
    assert_eq!(took, ms(200));
}

/// It "is part of the drain window": it can read how long it has.
#[tokio::test(start_paused = true)]
async fn a_hook_can_read_its_deadline() {
    let known = Slot::default();
    let read = known.clone();
    let layer = TaskTrackerLayer::new().before_release(move |_| {
        put(&read, current().deadline());
        async { after(10).await }
    });
    let start = Instant::now();
    held(&layer, || {}).await;
    let timeout = Duration::from_secs(25);
    assert_eq!(take(&known), Some(start + timeout), "the drain timeout");
}

/// What is aborted is done before the window closes, so that there is time for it.
#[tokio::test(start_paused = true)]
async fn the_report_of_a_hook_has_no_drained_outcome_after_an_abort() {
    let (observed, tells) = (Slot::default(), Log::default());
    let tell = observed.clone();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(tells.clone())
        .before_release(move |report| {
            put(&tell, DrainReport::clone(&report));
            async {}
        });
    held(&layer, || drop(named("slow").spawn(after(60_000)))).await;
    assert_eq!(tells.report().outcome, Outcome::DeadlineExceeded);
    let observed: DrainReport = take(&observed);
    assert_eq!(
        (observed.outcome, observed.aborted),
        (Outcome::DeadlineExceeded, 1)
    );
}

/// "The status of a response whose head was held until its deadline, with tasks that were not done."
#[tokio::test(start_paused = true)]
async fn a_late_hook_is_no_late_task_also_if_a_task_was_aborted_by_hand() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .before_release(|_| pending())
        .observer(log.clone());
    let service = tracked(&layer, || named("hedge").spawn(after(60_000)).abort());
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(
        (log.report().aborted, log.report().stragglers.len()),
        (1, 0)
    );
    assert_eq!(answer.status(), StatusCode::OK, "every task was done");
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_dropped_at_the_deadline() {
    let log = Log::default();
    let dropped = DropTime::new();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone())
        .before_release({
            let dropped = dropped.clone();
            move |_| {
                let watch = dropped.watch();
                async move {
                    let _watch = watch;
                    after(60_000).await;
                }
            }
        });
    assert_eq!(
        held_whole(&layer, || {}).await,
        ms(100),
        "also without tasks"
    );
    assert_eq!(dropped.get(), Some(ms(100)));
    held_whole(&layer, || drop(named("audit").spawn(after(20)))).await;
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.closed_by, Some(Limit::DrainTimeout));
    assert!(report.is_clean(), "the task is done: {report}");
}

#[tokio::test(start_paused = true)]
async fn a_late_hook_is_no_reason_for_another_status() {
    let layer = layer(&Calls::default(), 60_000)
        .drain_timeout(ms(100))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT);
    let service = tracked(&layer, || drop(named("audit").spawn(after(20))));
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::OK, "the work was done");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_before_the_tasks_are_done_calls_no_hook() {
    let calls = Calls::default();
    let layer = layer(&calls, 0).drain_timeout(ms(100));
    held_whole(&layer, || drop(named("slow").spawn(after(500)))).await;
    assert!(calls.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_a_hook_is_late_after_tasks_that_were_aborted_the_answer_is_that_of_a_deadline() {
    let (log, layer) = observed();
    let layer = layer
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .before_release(|_| after(600_000));
    let service = tracked(&layer, || drop(spawn(after(600_000))));
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(answer);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!((report.aborted, report.stragglers.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_dropped_at_the_deadline_in_its_request_and_not_with_the_response() {
    let dropped = DropTime::new();
    let inside = Slot::default();
    let (watched, is_inside) = (dropped.clone(), inside.clone());
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(100))
        .before_release(move |_| {
            let (watch, is_inside) = (watched.watch(), is_inside.clone());
            let last_words = LastWords::new(move || put(&is_inside, Tasks::current().is_some()));
            async move {
                let _held = (watch, last_words);
                after(600_000).await;
            }
        });
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"])))
    }));
    let answer = service.oneshot(request()).await.expect("infallible");
    assert_eq!(dropped.get(), Some(ms(100)), "its head is let go");
    assert!(take(&inside));
    after(50).await;
    drop(answer.into_body().collect().await);
}
