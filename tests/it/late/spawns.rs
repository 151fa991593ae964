//! Tasks that are spawned after the release of their request, and tasks outside any request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use tower::{Service, ServiceExt};
use tower_task_tracker::{TaskState, TaskTrackerLayer, Tasks, spawn, untracked};

use crate::subscribers::lines::Lines;
use crate::support::{Slot, after, current, put, request, take, told, tracked};

#[tokio::test(start_paused = true)]
async fn a_late_spawn_runs_and_is_told_of_with_its_place() {
    let (log, layer) = told();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&layer, move || {
        put(&keep, current());
        spawn(async {});
    });

    let response = service.oneshot(request()).await.expect("infallible");
    let tasks = take(&kept);
    drop(response.into_body().collect().await);
    assert!(tasks.is_released());
    assert_eq!(log.report().spawned, 1);
    assert_eq!(layer.handle().live_requests(), 0);

    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    let handle = tasks.named("late").spawn(async move {
        after(10).await;
        flag.store(true, Ordering::SeqCst);
    });
    let late = log.late_spawns();
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].name.as_deref(), Some("late"));
    assert!(late[0].location.file().ends_with("late_spawns.rs"));
    assert_eq!(late[0].state, TaskState::Running);
    assert_eq!(layer.handle().live_tasks(), 1, "it stays with the handle");

    layer.handle().wait_idle().await;
    handle.await.expect("it ran");
    assert!(ran.load(Ordering::SeqCst));
    assert_eq!(log.late_ends().len(), 1);
    assert_eq!(log.late_ends()[0].age, Duration::from_millis(10));
    assert_eq!(log.reports().len(), 1, "the report was made before");
}

#[tokio::test(start_paused = true)]
async fn a_late_task_that_is_aborted_or_panics_is_told_of() {
    let (log, layer) = told();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&layer, move || {
        put(&keep, current());
    });
    drop(service.oneshot(request()).await);
    let tasks = take(&kept);

    tasks.spawn(after(1000)).abort();
    tasks.spawn(async { panic!("late and broken") });
    let token = tasks.token();
    let clone = token.clone();
    drop(token);
    drop(clone);
    layer.handle().wait_idle().await;
    let mut states: Vec<_> = log.late_ends().iter().map(|end| end.state).collect();
    states.sort_by_key(|state| format!("{state:?}"));
    use TaskState::{Aborted, Completed, Panicked};
    assert_eq!(states, [Aborted, Completed, Completed, Panicked]);
    assert_eq!(log.late_spawns().len(), 4);
    assert!(log.reports().is_empty(), "nothing was spawned in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawn_that_races_the_release_is_either_waited_for_or_told_of_as_late() {
    let (log, layer) = told();
    let ended = Arc::new(AtomicUsize::new(0));
    let rounds = 500;
    for _ in 0..rounds {
        let counter = ended.clone();
        let (send, tasks) = std::sync::mpsc::channel::<Tasks>();
        // A thread that knows nothing of the response's progress.
        let racer = std::thread::spawn({
            let runtime = tokio::runtime::Handle::current();
            move || {
                let tasks = tasks.recv().expect("the handler sends");
                let counter = counter.clone();
                tasks.spawn_on(
                    async move {
                        tokio::task::yield_now().await;
                        counter.fetch_add(1, Ordering::SeqCst);
                    },
                    &runtime,
                );
            }
        });
        let send = Arc::new(Mutex::new(send));
        let service = tracked(&layer, move || {
            let tasks = current();
            tasks.spawn(async {});
            let send = send.lock().expect("unpoisoned");
            send.send(tasks.clone()).expect("the racer waits");
        });
        let response = service.oneshot(request()).await.expect("infallible");
        drop(response.into_body().collect().await);
        racer.join().expect("no panic");
    }
    layer.handle().wait_idle().await;
    assert_eq!(ended.load(Ordering::SeqCst), rounds, "every task ran");
    let in_time: usize = log.reports().iter().map(|report| report.spawned).sum();
    let late = log.late_spawns().len();
    assert_eq!(
        in_time + late,
        2 * rounds,
        "each is told of once: {late} late"
    );
    assert_eq!(log.late_ends().len(), late, "only late ones end detached");
}

#[tokio::test]
async fn a_spawn_that_is_untracked_on_purpose_is_not_warned_of() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let mut service = tracked(&layer, || {
        let mut outside = tokio_test::task::spawn(untracked(async {
            assert!(Tasks::current().is_none());
            spawn(std::future::pending::<()>());
        }));
        assert!(outside.poll().is_ready());
        assert!(Tasks::current().is_some(), "the context came back");
    });
    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_ready(), "nothing is waited for");
    assert_eq!(lines.text(), "");
}
