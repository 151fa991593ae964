//! `before_release` in combination with other rules.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Hold, Outcome, TaskTrackerLayer, Tasks, Unfinished, named};

use crate::support::{Frames, Log, Slot, after, current, held, ms, put, request, take, tracked};

/// `set_drain_timeout` during a drain re-arms it. With no task alive nobody listens.
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

/// A layer that holds nothing, and when its hook, which takes 30 ms, was through.
fn never_with_hook() -> (TaskTrackerLayer, Arc<Mutex<Vec<Instant>>>) {
    let through = Arc::new(Mutex::new(Vec::new()));
    let ends = through.clone();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .before_release(move |_| {
            let ends = ends.clone();
            async move {
                after(30).await;
                ends.lock().expect("unpoisoned").push(Instant::now());
            }
        });
    (layer, through)
}

/// "Under `Hold::Never` it runs after the response."
#[tokio::test(start_paused = true)]
async fn under_never_a_hook_runs_after_an_answer_to_head() {
    let (layer, through) = never_with_hook();
    let mut head = request();
    *head.method_mut() = Method::HEAD;
    let start = Instant::now();
    let Ok(answer) = tracked(&layer, || {}).oneshot(head).await;
    // HTTP/1 never polls the body of an answer to HEAD.
    drop(answer);
    assert_eq!(start.elapsed(), ms(0), "the response does not wait for it");
    after(100).await;
    assert_eq!(*through.lock().expect("unpoisoned"), [start + ms(30)]);
}

/// The same where a server drops the body with the last byte of a known length.
#[tokio::test(start_paused = true)]
async fn under_never_a_hook_runs_after_a_body_of_known_length() {
    let (layer, through) = never_with_hook();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"]).always_hints(2)))
    }));
    let start = Instant::now();
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    for _ in 0..2 {
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    }
    drop(body);
    assert_eq!(start.elapsed(), ms(0), "the response does not wait for it");
    after(100).await;
    assert_eq!(*through.lock().expect("unpoisoned"), [start + ms(30)]);
}

/// It "is part of the drain window": it can ask how long it has.
#[tokio::test(start_paused = true)]
async fn a_hook_knows_its_deadline() {
    let known = Slot::default();
    let knows = known.clone();
    let layer = TaskTrackerLayer::new().before_release(move |_| {
        put(&knows, current().deadline());
        async { after(10).await }
    });
    let start = Instant::now();
    held(&layer, || {}).await;
    let timeout = Duration::from_secs(25);
    assert_eq!(take(&known), Some(start + timeout), "the drain timeout");
}

/// What is aborted is done before the window closes, so that there is time for it.
#[tokio::test(start_paused = true)]
async fn a_hook_is_not_told_that_aborted_work_has_drained() {
    let (told, tells) = (Slot::default(), Log::default());
    let tell = told.clone();
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
    let told: DrainReport = take(&told);
    assert_eq!((told.outcome, told.aborted), (Outcome::DeadlineExceeded, 1));
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

/// `cancelled`: "whether the tasks were asked to stop: those that completed may have done less".
#[tokio::test(start_paused = true)]
async fn tasks_that_were_done_before_were_not_asked_to_stop() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .before_release(|_| after(950))
        .observer(log.clone());
    held(&layer, || drop(named("quick").spawn(after(20)))).await;
    let report = log.report();
    assert_eq!((report.outcome, report.held), (Outcome::Drained, ms(970)));
    assert!(!report.cancelled, "{report}");
}
