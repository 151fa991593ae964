//! Every way to start a task, on every kind of runtime.

use std::convert::Infallible;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use http::Request;
use tokio::runtime::Handle;
use tokio::task::LocalSet;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskBuilder, TaskState, TaskTrackerLayer, Tasks, named, spawn};

use crate::subscribers::lines::Lines;
use crate::support::{
    Log, after, current, full, request, runtime, timeless_runtime, told, tracked,
};

#[tokio::test(start_paused = true)]
async fn every_kind_of_spawn_is_tracked_and_knows_its_place() {
    let (log, layer) = told();
    let line = Arc::new(Mutex::new(0));
    let first_line = line.clone();
    let local = LocalSet::new();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let first_line = first_line.clone();
        async move {
            let tasks = current();
            let runtime = tokio::runtime::Handle::current();
            let set = LocalSet::new();
            *first_line.lock().expect("unpoisoned") = Location::caller().line() + 1;
            drop(tasks.spawn(async { panic!() }));
            drop(tasks.spawn_on(async { panic!() }, &runtime));
            drop(tasks.spawn_local(async { panic!() }));
            drop(tasks.spawn_local_on(async { panic!() }, &set));
            drop(tasks.spawn_blocking(|| panic!()));
            drop(tasks.spawn_blocking_on(|| panic!(), &runtime));
            tokio::spawn(tasks.track_future(async { panic!() }));
            drop(tasks.task().spawn(async { panic!() }));
            drop(spawn(async { panic!() }));
            drop(tower_task_tracker::spawn_blocking(|| panic!()));
            set.await;
            assert!(!tasks.is_empty());
            Ok::<_, Infallible>(full("ok"))
        }
    }));
    drop(local.run_until(service.oneshot(request())).await);

    let report = log.report();
    let first_line = *line.lock().expect("unpoisoned");
    let mut lines: Vec<_> = report
        .failures
        .iter()
        .map(|task| task.location.line())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, (first_line..first_line + 10).collect::<Vec<_>>());
    assert_eq!((report.spawned, report.panicked), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn what_a_task_returns_comes_through_its_join_handle() {
    let layer = TaskTrackerLayer::new().report_extension(true);
    let service = tracked(&layer, || {
        let tasks = current();
        spawn(async move {
            let name = |builder: TaskBuilder| builder;
            let doubled = name(tasks.named("double")).spawn(async { 21 * 2 }).await;
            assert_eq!(doubled.expect("no panic"), 42);
            let blocking = tasks.spawn_blocking(|| "text".to_owned()).await;
            assert_eq!(blocking.expect("no panic"), "text");
            let tracked = tasks.track_future(async { 'x' }).await;
            assert_eq!(tracked, 'x');
            let aborted = tasks.spawn(std::future::pending::<()>());
            aborted.abort();
            assert!(aborted.await.expect_err("aborted").is_cancelled());
            let broken = tasks.spawn(async { panic!("the payload") });
            let payload = broken.await.expect_err("it panics").into_panic();
            assert_eq!(payload.downcast_ref(), Some(&"the payload"));
        });
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let report = response
        .extensions()
        .get::<Arc<tower_task_tracker::DrainReport>>()
        .expect("tasks were spawned");
    assert_eq!(
        (report.completed, report.aborted, report.panicked),
        (4, 1, 1),
        "{report}"
    );
}

/// The handle of a runtime that is gone: it drops what it is to spawn.
fn dead() -> Handle {
    timeless_runtime().handle().clone()
}

#[test]
fn a_spawn_on_a_dead_runtime_drops_the_future_and_counts_it_as_aborted() {
    let handle = dead();
    let (log, layer) = told();
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

/// They end before they are listed: who lists them tells of it.
#[test]
fn the_end_of_a_task_that_never_ran_is_logged_and_told_with_its_name() {
    let (log, lines) = (Log::default(), Lines::default());
    let _listening = lines.listen();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let handle = dead();
    let service = tracked(&layer, move || {
        named("detached").detached().spawn_on(async {}, &handle);
        named("awaited").spawn_on(async {}, &handle);
    });
    drop(tokio_test::block_on(service.oneshot(request())));
    let told = log.late_ends();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].name.as_deref(), told[0].state),
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
fn tasks_that_die_with_their_runtime_are_told_of() {
    let (log, layer) = told();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_many_threads_every_task_is_counted_once() {
    let (log, layer) = told();
    for _ in 0..50 {
        let service = tracked(&layer, || {
            for index in 0..20 {
                spawn(async move {
                    tokio::task::yield_now().await;
                    spawn(async {});
                    assert_ne!(index, 7);
                });
            }
        });
        drop(service.oneshot(request()).await);
    }
    for report in log.reports() {
        crate::support::assert_adds_up(&report);
        assert_eq!((report.spawned, report.panicked), (40, 1), "{report}");
        assert!(report.stragglers.is_empty());
    }
    assert_eq!(log.reports().len(), 50);
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_dropped_by_a_panicking_thread_counts_as_a_panic() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        let token = current().token();
        let actor = std::thread::spawn(move || {
            let _token = token;
            panic!("the actor fails");
        });
        drop(actor.join());
    });
    drop(service.oneshot(request()).await);
    after(0).await;
    assert_eq!(log.report().panicked, 1);
}
