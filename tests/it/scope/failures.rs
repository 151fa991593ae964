//! `fail_with`: required tasks of requests that are not HTTP.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Outcome, TaskScopeLayer, Tasks, Unfinished, named, spawn};

use crate::support::{LastWords, Log, after, ms};

/// What a required task does after 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Succeeds,
    Fails,
    Panics,
    IsAborted,
    IsLate,
}

async fn handle(fate: Fate) -> Result<&'static str, String> {
    let task = named("write").required().spawn(async move {
        after(10).await;
        match fate {
            Fate::Succeeds => Ok(()),
            Fate::Fails => Err("disk full"),
            Fate::Panics => panic!("on purpose"),
            Fate::IsAborted | Fate::IsLate => {
                after(600_000).await;
                Ok(())
            }
        }
    });
    if fate == Fate::IsAborted {
        task.abort();
    }
    spawn(after(20));
    Ok("written")
}

fn failing(log: &Log) -> TaskScopeLayer<(), tower_task_tracker::FailWith<String>> {
    TaskScopeLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone())
        .fail_with(|report: &DrainReport| format!("failed: {report}"))
}

#[tokio::test(start_paused = true)]
async fn a_failed_required_task_makes_an_error_of_the_answer() {
    for (fate, held) in [
        (Fate::Fails, 20),
        (Fate::Panics, 20),
        (Fate::IsAborted, 20),
        (Fate::IsLate, 100),
    ] {
        let log = Log::default();
        let start = Instant::now();
        let answer = failing(&log).layer(service_fn(handle)).oneshot(fate).await;
        assert_eq!(
            start.elapsed(),
            ms(held),
            "{fate:?}: the others are waited for"
        );
        let report = log.report();
        assert!(report.required_failed, "{fate:?}");
        assert_eq!(answer, Err(format!("failed: {report}")), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_required_tasks_succeed_is_kept() {
    let log = Log::default();
    let service = failing(&log).layer(service_fn(handle));
    assert_eq!(service.oneshot(Fate::Succeeds).await, Ok("written"));
}

#[tokio::test(start_paused = true)]
async fn without_fail_with_the_answer_is_kept_and_the_report_has_the_failure() {
    let log = Log::default();
    let layer = TaskScopeLayer::new().observer(log.clone());
    let answer = layer.layer(service_fn(handle)).oneshot(Fate::Fails).await;
    assert_eq!(answer, Ok("written"));
    assert!(log.report().required_failed);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_is_kept() {
    let log = Log::default();
    let service = failing(&log).layer(service_fn(|fate| async move {
        handle(fate).await?;
        Err::<(), _>("its own".to_owned())
    }));
    let answer = service.oneshot(Fate::Fails).await;
    assert_eq!(answer, Err("its own".to_owned()));
    assert!(log.report().required_failed);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_required_fails_nothing() {
    let log = Log::default();
    let service = failing(&log).layer(service_fn(|(): ()| async {
        named("optional")
            .fallible()
            .spawn(async { Err::<(), _>("no") });
        Ok::<_, String>(())
    }));
    assert_eq!(service.oneshot(()).await, Ok(()));
    assert_eq!(log.report().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn an_abort_at_the_deadline_is_a_failure_too() {
    let log = Log::default();
    let layer = failing(&log).at_deadline(Unfinished::Abort);
    let answer = layer.layer(service_fn(handle)).oneshot(Fate::IsLate).await;
    let report = log.report();
    assert_eq!(
        (report.outcome, report.aborted),
        (Outcome::DeadlineExceeded, 1)
    );
    assert_eq!(answer, Err(format!("failed: {report}")));
}

#[tokio::test(start_paused = true)]
async fn only_the_outermost_layer_decides() {
    let log = Log::default();
    let inner = failing(&log);
    let kept = ServiceBuilder::new()
        .layer(TaskScopeLayer::new())
        .layer(inner.clone())
        .service(service_fn(handle));
    assert_eq!(kept.oneshot(Fate::Fails).await, Ok("written"));
    let failed = ServiceBuilder::new()
        .layer(inner)
        .layer(TaskScopeLayer::new().fail_with(|_: &DrainReport| "inner".to_owned()))
        .service(service_fn(handle));
    let error = failed.oneshot(Fate::Fails).await.expect_err("it failed");
    assert!(error.starts_with("failed: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_of_fail_with_the_later_wins_and_any_error_type_will_do() {
    type BoxError = Box<dyn std::error::Error + Send + Sync>;
    let seen = Arc::<Mutex<Vec<usize>>>::default();
    let out = seen.clone();
    let layer = TaskScopeLayer::new()
        .fail_with(|_: &DrainReport| 7_u8)
        .fail_with(move |report: &DrainReport| {
            assert!(Tasks::current().is_none(), "it is in no request");
            let mut seen = out.lock().expect("no panic holds this lock");
            seen.push(report.failed);
            BoxError::from("boxed")
        });
    let mut service = layer.layer(service_fn(|fate: Fate| async move {
        handle(fate).await.map_err(BoxError::from)
    }));
    for _ in 0..2 {
        let ready = service.ready().await.expect("it always is");
        let error = ready.call(Fate::Fails).await.expect_err("it failed");
        assert_eq!(error.to_string(), "boxed");
    }
    assert_eq!(*seen.lock().expect("no panic holds this lock"), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_failure_is_made_outside_of_whatever_request_is_current() {
    let layer = TaskScopeLayer::new().fail_with(|_: &DrainReport| Tasks::current().is_some());
    let service = layer.layer(service_fn(|fate: Fate| async move {
        handle(fate).await.map_err(|_| true)
    }));
    let handle = layer.handle();
    // The context of the process's own work, which holds nothing.
    let answer = handle.spawn(async move {
        assert!(Tasks::current().is_some());
        service.oneshot(Fate::Fails).await
    });
    assert_eq!(answer.await.expect("no panic"), Err(false));
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_spawns_that_is_dropped_for_a_failure_is_waited_for() {
    let log = Log::default();
    let service = failing(&log).layer(service_fn(|(): ()| async {
        named("write")
            .required()
            .spawn(async { Err::<(), _>("no") });
        Ok(LastWords::new(|| drop(named("last will").spawn(after(10)))))
    }));
    let start = Instant::now();
    assert!(service.oneshot(()).await.is_err());
    assert_eq!(start.elapsed(), ms(10));
    let report = log.report();
    assert_eq!((report.failed, report.completed), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_failure_is_passed_on_after_the_report() {
    let log = Log::default();
    let layer = TaskScopeLayer::new()
        .observer(log.clone())
        .fail_with(|_: &DrainReport| -> Infallible { panic!("no error to be had") });
    let service = layer.layer(service_fn(|(): ()| async {
        named("write")
            .required()
            .spawn(async { Err::<(), _>("no") });
        Ok::<_, Infallible>(())
    }));
    let joined = tokio::spawn(async move { service.oneshot(()).await });
    assert!(joined.await.expect_err("passed on").is_panic());
    assert_eq!(log.report().outcome, Outcome::Drained, "reported once");
}
