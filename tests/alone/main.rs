//! What exists in every set of features, also without any: tasks, scopes and the handle, on tokio alone.
//! The other test binaries check its behaviour in full, with all features.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Outcome, RunToCompletionLayer, Scope, TaskScopeLayer, TaskState, Tasks,
    TrackerHandle, Unfinished, deadline, named, scope, spawn, spawn_blocking, untracked,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn a_scope_waits_for_everything_that_it_has_spawned() {
    let start = Instant::now();
    let (answer, report) = scope(|tasks: Tasks| async move {
        tasks.named("one").spawn(sleep(ms(10)));
        spawn(async {
            sleep(ms(10)).await;
            spawn(sleep(ms(10)));
        });
        spawn_blocking(|| ());
        untracked(async { assert!(Tasks::current().is_none()) }).await;
        "done"
    })
    .await;
    assert_eq!((answer, start.elapsed()), ("done", ms(20)));
    assert_eq!((report.spawned, report.completed), (4, 4), "{report}");
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn failures_panics_and_stragglers_are_told_by_name() {
    let scope = Scope::new().drain_timeout(ms(50));
    let run = scope.run(|_| async {
        named("fails")
            .required()
            .spawn(async { Err::<(), _>("no") });
        named("panics").spawn(async { panic!("boom") });
        named("late").spawn(pending::<()>());
    });
    let ((), report) = run.await;
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert!(report.required_failed, "{report}");
    let mut failures: Vec<_> = report
        .failures
        .iter()
        .map(|task| (task.name.as_deref(), task.state))
        .collect();
    failures.sort_by_key(|(name, _)| *name);
    assert_eq!(
        failures,
        [
            (Some("fails"), TaskState::Failed),
            (Some("panics"), TaskState::Panicked),
        ]
    );
    assert_eq!(report.stragglers.len(), 1, "{report}");
    assert_eq!(report.stragglers[0].name.as_deref(), Some("late"));
}

#[tokio::test(start_paused = true)]
async fn a_layer_around_any_service_holds_its_answer_and_fails_it_with_required_work() {
    let layer = TaskScopeLayer::new()
        .deadline_from(|due: &Instant| Some(*due))
        .deadline_source(deadline::unix_millis(|_: &Instant| None))
        .deadline_source(deadline::from_env("A_VARIABLE_THAT_IS_NOT_SET"))
        .at_deadline(Unfinished::Abort)
        .fail_with(|report: &DrainReport| report.to_string());
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(|_: Instant| async {
            named("work").required().spawn(async {
                sleep(ms(30)).await;
                Ok::<(), Infallible>(())
            });
            Ok::<_, String>("done")
        }));
    let start = Instant::now();
    assert_eq!(service.call(start + ms(100)).await, Ok("done"));
    assert_eq!(start.elapsed(), ms(30));
    let start = Instant::now();
    let failed = service.call(start + ms(20)).await;
    assert!(start.elapsed() <= ms(20), "{:?}", start.elapsed());
    let message = failed.expect_err("its required work was aborted");
    assert!(message.contains("work (aborted"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_runs_on_when_its_client_has_left() {
    let (done, is_done) = oneshot::channel();
    let mut done = Some(done);
    let layer = TaskScopeLayer::new();
    let handle = layer.handle();
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |(): ()| {
            let done = done.take();
            async move {
                sleep(ms(50)).await;
                Ok::<_, Infallible>(done.map(|done| done.send(())))
            }
        }));
    assert!(timeout(ms(10), service.oneshot(())).await.is_err());
    assert_eq!(is_done.await, Ok(()));
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_outlives_its_scope_and_aborts_what_is_left() {
    let handle = TrackerHandle::new();
    let scope = Scope::new().tracked_by(&handle).drain_timeout(ms(10));
    let run = scope.run(|_| async {
        named("slow").spawn(sleep(ms(100)));
        named("stuck").detached().spawn(pending::<()>());
    });
    let ((), report) = run.await;
    assert_eq!(report.stragglers.len(), 1, "{report}");
    handle.spawn(async {});
    let report = handle.shutdown(ms(500)).await;
    assert_eq!((report.completed, report.aborted), (2, 1), "{report}");
    assert_eq!(handle.live_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_spawn_outside_of_everything_runs() {
    assert!(Tasks::current().is_none());
    assert_eq!(spawn(async { 7 }).await.ok(), Some(7));
    let layer: TaskScopeLayer = TaskScopeLayer::new();
    let service = layer.layer(service_fn(|(): ()| async { Ok::<_, Infallible>(()) }));
    assert_eq!(service.oneshot(()).await, Ok(()));
}
