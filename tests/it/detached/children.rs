//! What a detached task spawns.

use std::convert::Infallible;

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    TaskScopeLayer, TaskState, TaskTrackerLayer, Tasks, named, spawn, spawn_blocking,
};

use super::ends;
use crate::subscribers::lines::logged;
use crate::support::{Log, Slot, after, current, ms, observed, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn what_a_detached_task_spawns_is_detached_itself() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("detached").detached().spawn(async {
            named("early").spawn(async {
                named("of early").spawn(after(30));
                after(20).await;
            });
            after(100).await;
            named("late").spawn(after(10));
        });
        named("slow").spawn(after(10));
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(10), "the children do not hold");
    assert_eq!(log.report().spawned, 1, "no report counts them");
    layer.handle().wait_idle().await;
    assert_eq!(arrived.elapsed(), ms(110), "the handle tracks them");
    assert_eq!(ends(&log), ["detached", "early", "late", "of early"]);
    assert!(log.late_spawns().is_empty(), "{:?}", log.late_spawns());
}

/// Spawns in every way there is, through `tasks` and through the current request.
pub(crate) fn spawn_in_every_way(tasks: &Tasks) {
    named("spawn").spawn(after(1));
    tasks.named("kept").spawn(after(1));
    tasks.spawn(after(1));
    spawn(after(1));
    spawn_blocking(|| {});
    tasks.named("blocking").spawn_blocking(|| {});
    let runtime = tokio::runtime::Handle::current();
    tasks.named("on").spawn_on(after(1), &runtime);
    tasks.named("local").spawn_local(after(1));
    let detached = tasks.named("try").detached().try_spawn(after(1));
    assert!(detached.is_ok(), "it asks for that itself");
    drop(tasks.named("token").token());
    drop(tasks.named("token").token().clone());
    drop(tasks.named("future").track_future(after(1)));
    let tasks = tasks.clone();
    tokio::spawn(named("future").track_future(async move {
        named("deep").spawn(after(1));
        after(1).await;
        tasks.named("deep").spawn(after(1));
    }));
}

pub(crate) const EVERY_WAY: [&str; 16] = [
    "?", "?", "?", "blocking", "deep", "deep", "future", "future", "kept", "local", "on", "spawn",
    "token", "token", "token", "try",
];

#[tokio::test(start_paused = true)]
async fn however_a_detached_task_spawns_its_children_hold_nothing() {
    let (log, layer) = observed();
    let local = tokio::task::LocalSet::new();
    let service = tracked(&layer, || {
        named("detached").detached().spawn_local(async {
            spawn_in_every_way(&current());
            after(1000).await;
            spawn_in_every_way(&current());
        });
    });
    let arrived = Instant::now();
    let served = async {
        drop(service.oneshot(request()).await);
        assert_eq!(arrived.elapsed(), ms(0), "nothing is waited for");
        assert_eq!(log.report().spawned, 0);
        layer.handle().wait_idle().await;
    };
    local.run_until(served).await;
    assert_eq!(ends(&log).len(), 1 + 2 * EVERY_WAY.len());
    assert!(log.late_spawns().is_empty(), "{:?}", log.late_spawns());
}

#[tokio::test(start_paused = true)]
async fn what_a_blocking_closure_spawns_goes_by_what_the_closure_is() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("closure").detached().spawn_blocking(|| {
            named("child").spawn(after(50));
        });
        named("ordinary").spawn_blocking(|| {
            named("counted").spawn(after(20));
        });
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(20), "that of the ordinary one holds");
    assert_eq!(log.report().spawned, 2);
    layer.handle().wait_idle().await;
    assert_eq!(ends(&log), ["child", "closure"]);
}

#[tokio::test(start_paused = true)]
async fn a_required_child_of_a_detached_task_is_just_fallible() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("detached").detached().spawn(async {
            let child = named("child").required();
            child.spawn(async { Err::<(), _>("no cache") });
        });
        named("ordinary").spawn(after(10));
    });
    let answer = service.oneshot(request()).await.expect("infallible");
    assert_eq!(answer.status(), StatusCode::OK, "nothing depends on it");
    drop(answer.into_body().collect().await);
    assert!(!log.report().required_failed);
    layer.handle().wait_idle().await;
    let ends = log.late_ends();
    let child = ends
        .iter()
        .find(|task| task.name.as_deref() == Some("child"));
    assert_eq!(child.map(|task| task.state), Some(TaskState::Failed));

    // That of a straggler likewise.
    let lines = logged(TaskTrackerLayer::new().drain_timeout(ms(10)), || {
        spawn(async {
            after(100).await;
            let child = named("child").required();
            child.spawn(async { Err::<(), _>("no cache") });
        });
    })
    .await;
    let line = lines.with("a tracked task failed");
    assert!(line.starts_with("WARN"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn what_a_detached_task_calls_is_a_request_of_its_own() {
    for scoped in [false, true] {
        let (outer_log, outer) = observed();
        let (inner_log, inner) = observed();
        let inner_service = tracked(&inner, || drop(named("inner").spawn(after(30))));
        let took = Slot::default();
        let out = took.clone();
        let events = Log::default();
        let event = TaskScopeLayer::new()
            .observer(events.clone())
            .layer(service_fn(|(): ()| async {
                named("inner").spawn(after(30));
                Ok::<_, Infallible>(())
            }));
        let service = tracked(&outer, move || {
            let (inner, event, out) = (inner_service.clone(), event.clone(), out.clone());
            named("detached").detached().spawn(async move {
                let began = Instant::now();
                if scoped {
                    event.oneshot(()).await.expect("infallible");
                } else {
                    drop(inner.oneshot(request()).await);
                }
                put(&out, began.elapsed());
            });
            named("slow").spawn(after(500));
        });
        drop(service.oneshot(request()).await);
        assert_eq!(take(&took), ms(30), "its answer is held for its tasks");
        let its_own = if scoped { events } else { inner_log };
        assert_eq!(its_own.report().spawned, 1);
        assert_eq!(outer_log.report().spawned, 1);
    }
}
