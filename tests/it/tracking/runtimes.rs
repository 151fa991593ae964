//! Tasks whose runtime is gone, or ends before they do.

use std::convert::Infallible;
use std::future::pending;

use tokio::runtime::Handle;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{RunToCompletionLayer, TaskState, TaskTrackerLayer, Tasks, named, scope};

use crate::subscribers::lines::Lines;
use crate::support::{Log, current, observed, request, runtime, timeless_runtime, tracked};

/// The handle of a runtime that is gone: it drops what it is to spawn.
fn dead() -> Handle {
    timeless_runtime().handle().clone()
}

#[test]
fn a_spawn_on_a_dead_runtime_drops_the_future_and_counts_it_as_aborted() {
    let handle = dead();
    let (log, layer) = observed();
    let service = tracked(&layer, move || {
        let tasks = current();
        struct AsksItsTasks;
        impl Drop for AsksItsTasks {
            fn drop(&mut self) {
                // It would hang here if a lock were held.
                assert!(Tasks::current().is_some_and(|tasks| !tasks.is_empty()));
            }
        }
        let guard = AsksItsTasks;
        tasks.spawn_on(async move { drop(guard) }, &handle);
        assert!(tasks.is_empty());
    });
    drop(tokio_test::block_on(service.oneshot(request())));
    assert_eq!(log.report().aborted, 1);
}

/// They end before they are listed. The call that lists them reports the end.
#[test]
fn the_end_of_a_task_that_never_ran_is_logged_and_observed_with_its_name() {
    let (log, lines) = (Log::default(), Lines::default());
    let _recording = lines.record();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let handle = dead();
    let service = tracked(&layer, move || {
        named("detached").detached().spawn_on(async {}, &handle);
        named("awaited").spawn_on(async {}, &handle);
    });
    drop(tokio_test::block_on(service.oneshot(request())));
    let observed = log.late_ends();
    assert_eq!(observed.len(), 1, "{observed:?}");
    assert_eq!(
        (observed[0].name.as_deref(), observed[0].state),
        (Some("detached"), TaskState::Aborted)
    );
    assert_eq!(log.report().failures.len(), 1);
    for name in ["detached", "awaited"] {
        lines.with(&format!(
            "a tracked task was dropped before its end task={name}"
        ));
    }
}

#[test]
fn the_ends_of_tasks_that_die_with_their_runtime_are_observed() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        tower_task_tracker::named("cut off").spawn(std::future::pending::<()>());
    });
    let runtime = runtime();
    runtime.block_on(async {
        let held = tokio::time::timeout(std::time::Duration::ZERO, service.oneshot(request()));
        assert!(held.await.is_err());
    });
    drop(runtime);
    assert_eq!(log.report().stragglers.len(), 1);
    let ends = log.late_ends();
    assert_eq!(
        ends.len(),
        1,
        "the end of the runtime was the end of the task"
    );
    assert_eq!(ends[0].name.as_deref(), Some("cut off"));
    assert_eq!(layer.handle().live_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_is_never_run_takes_a_handler_with_it() {
    let ((), report) = scope(|_| async {
        let mut handler = RunToCompletionLayer::new()
            .layer(service_fn(|(): ()| pending::<Result<(), Infallible>>()));
        let future = handler.call(());
        let runtime = timeless_runtime();
        let on = runtime.handle().clone();
        runtime.shutdown_background();
        let closure = current().spawn_blocking_on(move || drop(future), &on);
        assert!(closure.await.is_err(), "it was not run");
    })
    .await;
    let ends: Vec<_> = report.failures.iter().map(|task| task.state).collect();
    assert_eq!((report.spawned, &*ends), (1, &[TaskState::Aborted][..]));
}
