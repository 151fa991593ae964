//! Tasks that are spawned after the release of their request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{TaskState, spawn};

use crate::support::{Slot, after, current, observed, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn a_late_spawn_runs_and_is_reported_with_its_place() {
    let (log, layer) = observed();
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
    assert_eq!(late[0].location.file(), file!());
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
async fn the_end_of_a_late_task_that_is_aborted_or_panics_is_observed() {
    let (log, layer) = observed();
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
