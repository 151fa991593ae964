//! Every way to spawn a task.

use std::convert::Infallible;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use http::Request;
use tokio::task::{JoinSet, LocalSet};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskBuilder, TaskTrackerLayer, scope, spawn};

use crate::support::{after, current, full, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn every_kind_of_spawn_is_tracked_and_has_its_place() {
    let (log, layer) = observed();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_many_threads_every_task_is_counted_once() {
    let (log, layer) = observed();
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
async fn what_a_join_set_runs_is_tracked_if_it_is_tracked_before() {
    let ((), report) = scope(|tasks| async move {
        let mut set = JoinSet::new();
        set.spawn(tasks.track_future(async {
            spawn(after(20));
            7
        }));
        assert_eq!(set.join_next().await.and_then(Result::ok), Some(7));
    })
    .await;
    assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
}

#[tokio::test(start_paused = true)]
async fn len_and_is_empty_count_the_tasks_that_are_alive() {
    let ((), report) = scope(|tasks| async move {
        assert!(tasks.is_empty());
        tasks.spawn(after(10));
        tasks.task().detached().spawn(after(20));
        assert_eq!((tasks.len(), tasks.is_empty()), (2, false));
        after(15).await;
        assert_eq!((tasks.len(), tasks.is_empty()), (1, false));
        after(10).await;
        assert_eq!((tasks.len(), tasks.is_empty()), (0, true));
    })
    .await;
    assert_eq!(report.completed, 1, "{report}");
}
