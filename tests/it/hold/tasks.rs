//! Everything that counts as a task holds the response.

use std::sync::{Arc, mpsc};

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_task_tracker::{DrainReport, Outcome, TaskState, TaskTrackerLayer, Tasks, spawn};

use crate::support::{
    Slot, after, current, ms, observed, put, request, take, timeless_runtime, tracked,
};

#[tokio::test(start_paused = true)]
async fn one_task_holds_the_response_until_it_ends() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        spawn(after(200));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(200));
    drop(response.into_body().collect().await);

    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!((report.spawned, report.completed), (1, 1));
    assert_eq!(report.held, ms(200));
    assert!(report.is_clean());
    let last = report.last.expect("one task was waited for");
    assert_eq!(last.state, TaskState::Completed);
    assert_eq!(last.location.file(), file!(), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_needs_one_turn_only_holds_without_a_timer() {
    // A runtime without time panics when a timer is made.
    let runtime = timeless_runtime();
    let answered = std::thread::spawn(move || {
        runtime.block_on(async {
            let layer = TaskTrackerLayer::new().report_extension(true);
            let service = tracked(&layer, || {
                spawn(async {});
            });
            let response = service.oneshot(request()).await.expect("infallible");
            response
                .extensions()
                .get::<Arc<DrainReport>>()
                .map(|report| report.completed)
        })
    });
    assert_eq!(answered.join().expect("no timer was made"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn many_tasks_hold_the_response_until_the_last_one_ends() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        for millis in (1..=100).rev() {
            spawn(after(millis));
        }
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(100));
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 100);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_tasks_hold_the_response() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        spawn(async {
            after(50).await;
            spawn(async {
                after(50).await;
                Tasks::current()
                    .expect("a tracked task runs in its request")
                    .named("innermost")
                    .spawn(after(50));
            });
        });
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(150));
    drop(response);
    let report = log.report();
    assert_eq!(report.spawned, 3);
    assert_eq!(
        report.last.and_then(|task| task.name),
        Some("innermost".into())
    );
}

#[tokio::test]
async fn a_blocking_closure_and_what_it_spawns_hold_the_response() {
    let (log, layer) = observed();
    let (release, blocked) = mpsc::channel::<()>();
    let until = Slot::default();
    put(&until, blocked);
    let mut service = tracked(&layer, move || {
        let blocked: mpsc::Receiver<()> = take(&until);
        tower_task_tracker::spawn_blocking(move || {
            blocked.recv().expect("the test sends");
            spawn(async {});
        });
    });

    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_pending(), "the closure has not ended");
    release.send(()).expect("the closure waits");
    let response = future.await.expect("infallible");
    drop(response);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_holds_the_response_until_it_is_dropped() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let token = current().token();
        let clone = token.clone();
        // Plain spawns: they are not tracked themselves.
        tokio::spawn(async move {
            after(30).await;
            drop(token);
        });
        tokio::spawn(async move {
            after(70).await;
            drop(clone);
        });
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(70));
    drop(response);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2));
    assert!(report.last.is_some(), "the token's end released it");
}

#[tokio::test(start_paused = true)]
async fn a_future_tracked_elsewhere_holds_the_response() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let tasks = current();
        tokio::spawn(tasks.named("elsewhere").track_future(async {
            after(40).await;
            spawn(after(40));
        }));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(80));
    drop(response);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_library_function_that_is_handed_no_tasks_holds_the_response() {
    fn library() {
        tower_task_tracker::named("deep inside").spawn(after(25));
    }
    let (log, layer) = observed();
    let start = Instant::now();
    let response = tracked(&layer, library).oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(25));
    drop(response);
    let last = log.report().last.expect("one task was waited for");
    assert_eq!(last.name.as_deref(), Some("deep inside"));
}
