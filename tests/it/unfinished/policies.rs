//! Late tasks run on, or are stopped as the policy states; a request sets its own; what cannot be aborted is
//! reported.

use std::convert::Infallible;
use std::sync::mpsc;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskState, Unfinished, named, spawn_blocking};

use super::{cancel, layer};
use crate::support::{DropTime, Frames, Log, after, current, held, ms, request};

#[tokio::test(start_paused = true)]
async fn under_continue_a_task_runs_on_after_the_deadline_and_its_end_is_observed() {
    let log = Log::default();
    let layer = layer(&log, 100, Unfinished::Continue);
    let token = DropTime::new();
    let held = held(&layer, {
        let token = token.clone();
        move || {
            let (watch, cancelled) = (token.watch(), current().cancellation_token());
            named("slow").spawn(async move {
                let _watch = watch;
                after(300).await;
                assert!(!cancelled.is_cancelled(), "no task is cancelled");
            });
        }
    })
    .await;
    assert_eq!(held, ms(100));
    assert_eq!(log.report().stragglers.len(), 1);
    assert_eq!(layer.handle().live_tasks(), 1, "it stays with the handle");
    layer.handle().wait_idle().await;
    assert_eq!(token.get(), Some(ms(300)));
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn work_elsewhere_cannot_be_aborted_and_is_reported() {
    let log = Log::default();
    let layer = layer(&log, 1000, Unfinished::Abort);
    let (give, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let held = held(&layer, move || {
        let _ = give.send(current().named("thread").token());
        current().tracker().spawn(after(2000));
    })
    .await;
    assert_eq!(held, ms(1000));
    let report = log.report();
    assert_eq!((report.aborted, report.stragglers.len()), (0, 2));
    assert_eq!(layer.handle().live_tasks(), 2);
    drop(taken.recv().await);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_that_runs_is_reported_and_stays_with_the_handle() {
    let log = Log::default();
    let layer = layer(&log, 20, Unfinished::Abort);
    let (let_go, until) = mpsc::channel::<()>();
    let until = std::sync::Arc::new(std::sync::Mutex::new(until));
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let held = held(&layer, move || {
        let (until, began) = (until.clone(), began.clone());
        spawn_blocking(move || {
            let _ = began.send(());
            let _ = until.lock().expect("no panic holds this lock").recv();
        });
    });
    let (held, ()) = tokio::join!(held, async {
        begun.recv().await;
        // Paused time does not pass by itself while a blocking closure runs.
        tokio::time::advance(ms(20)).await;
    });
    assert_eq!(held, ms(20));
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!((report.aborted, report.stragglers.len()), (0, 1));
    assert_eq!(layer.handle().live_tasks(), 1);
    drop(let_go);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_choose_for_itself_also_while_it_waits() {
    let log = Log::default();
    let layer = layer(&log, 1000, Unfinished::Continue);
    let first = held(&layer, || {
        current().set_at_deadline(Unfinished::Abort);
        named("slow").spawn(after(60_000));
    })
    .await;
    assert_eq!(first, ms(900));
    let second = held(&layer, || {
        let tasks = current();
        named("slow").spawn(after(60_000));
        named("changes its mind").spawn(async move {
            after(500).await;
            tasks.set_at_deadline(cancel(300));
        });
    })
    .await;
    assert_eq!(second, ms(900));
    let aborted: Vec<_> = log.reports().iter().map(|report| report.aborted).collect();
    assert_eq!(aborted, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_aborted_may_still_end_in_time() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, Unfinished::Abort), || {
        let token = current().named("thread").token();
        tokio::spawn(async move {
            after(950).await;
            drop(token);
        });
    })
    .await;
    assert_eq!(held, ms(950));
    let report = log.report();
    assert_eq!((report.outcome, report.closed_by), (Outcome::Drained, None));
}

#[tokio::test(start_paused = true)]
async fn the_last_task_of_the_head_is_not_the_last_of_an_end_that_is_late() {
    let log = Log::default();
    let layer = layer(&log, 100, Unfinished::Continue).hold(Hold::Head);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("head").spawn(after(20));
        let late = Frames::new(["a"]).spawns_at_drop(500);
        Ok::<_, Infallible>(Response::new(late))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    drop(answer.into_body().collect().await);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.last, None, "{report}");
}
