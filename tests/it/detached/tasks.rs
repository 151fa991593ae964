//! No response waits for a detached task, and nothing but a shutdown stops it.

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{Outcome, TaskState, TaskTrackerLayer, Unfinished, named};

use crate::support::{Log, after, current, held, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn no_response_waits_for_a_detached_task_and_its_end_is_observed() {
    let (log, layer) = observed();
    let arrived = Instant::now();
    let service = tracked(&layer, || {
        named("warm the cache").detached().spawn(after(100));
        drop(current().named("thread").detached().token());
        named("audit").spawn(after(20));
        assert_eq!(current().len(), 2);
    });
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(20), "the other one is waited for");
    let report = log.report();
    assert_eq!((report.spawned, report.outcome), (1, Outcome::Drained));
    assert!(report.is_clean());
    assert_eq!(layer.handle().live_tasks(), 1, "the handle tracks it");
    layer.handle().wait_idle().await;
    assert_eq!(arrived.elapsed(), ms(100));
    let ends = log.late_ends();
    let names: Vec<_> = ends
        .iter()
        .filter_map(|task| task.name.as_deref())
        .collect();
    assert_eq!(names, ["thread", "warm the cache"]);
    assert!(ends.iter().all(|task| task.state == TaskState::Completed));
    assert!(log.late_spawns().is_empty(), "it is late for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_detached_tasks_alone_is_reported_too() {
    let (log, layer) = observed();
    let service = tracked(&layer, || drop(named("slow").detached().spawn(after(100))));
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().spawned, 0);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn neither_a_deadline_nor_a_disconnect_stops_a_detached_task() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(50))
        .at_deadline(Unfinished::Abort)
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = tracked(&layer, || {
        named("detached").detached().spawn(after(1000));
        named("slow").spawn(after(1000));
    });
    drop(service.clone().oneshot(request()).await);
    drop(tokio::time::timeout(ms(10), service.oneshot(request())).await);
    layer.handle().wait_idle().await;
    let completed = |ends: usize| vec![TaskState::Completed; ends];
    let ends: Vec<_> = log.late_ends().iter().map(|task| task.state).collect();
    assert_eq!(ends, completed(2));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_detached_task_that_fails_has_its_message() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let fails = async { Err::<(), _>("no cache") };
        named("cache").fallible().detached().spawn(fails);
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Failed);
    assert_eq!(ends[0].message.as_deref(), Some("no cache"));
}

#[tokio::test(start_paused = true)]
async fn a_request_with_detached_tasks_alone_is_reported_with_none() {
    let (log, layer) = crate::support::observed();
    held(&layer, || {
        current().task().detached().spawn(after(20));
    })
    .await;
    assert_eq!(log.report().spawned, 0);
}
