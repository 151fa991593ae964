//! Which code counts as a task of the request, so that its spawns are not late: not a kept `Tasks`, a callback or
//! the body.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Tasks, named, scope, spawn,
};

use crate::detached::ends;
use crate::support::{
    Frames, Log, Slot, after, current, ms, observed, put, request, take, tracked,
};

#[tokio::test(start_paused = true)]
async fn a_kept_tasks_warns_where_the_code_is_no_task_of_that_request() {
    let (log, layer) = observed();
    let layer = layer.drain_timeout(ms(10));
    let kept = Slot::default();
    let keep = kept.clone();
    drop(
        tracked(&layer, move || {
            put(&keep, current());
            spawn(after(1));
        })
        .oneshot(request())
        .await,
    );
    let tasks: Tasks = take(&kept);
    let spawn_late = {
        let tasks = tasks.clone();
        move || drop(tasks.named("late").spawn(after(1)))
    };
    spawn_late();
    assert_eq!(log.late_spawns().len(), 1, "in no task");
    let elsewhere = spawn_late.clone();
    drop(tokio::spawn(async move { elsewhere() }).await);
    assert_eq!(log.late_spawns().len(), 2, "in a plain spawn");
    // A straggler of another request, and a detached task of it.
    let other = TaskTrackerLayer::new().drain_timeout(ms(10));
    let service = tracked(&other, move || {
        let (late, later) = (spawn_late.clone(), spawn_late.clone());
        spawn(async move {
            after(100).await;
            late();
        });
        named("detached").detached().spawn(async move { later() });
    });
    drop(service.oneshot(request()).await);
    other.handle().wait_idle().await;
    assert_eq!(log.late_spawns().len(), 4, "in tasks of another request");
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_spawns_inside_of_other_contexts_is_still_the_spawning_task() {
    let (log, layer) = observed();
    let layer = layer.drain_timeout(ms(10));
    let service = tracked(&layer, || {
        let tasks = current();
        named("straggler").spawn(async move {
            after(100).await;
            let inside = tasks.clone();
            tower_task_tracker::untracked(async move {
                inside.named("child").spawn(after(1));
            })
            .await;
            let inside = tasks.clone();
            let ((), report) = scope(|_| async move {
                inside.named("child").spawn(after(1));
                named("of the scope").spawn(after(1));
            })
            .await;
            assert_eq!(report.spawned, 1, "the scope's own is its own");
            tasks
                .within(async { drop(named("child").spawn(after(1))) })
                .await;
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(ends(&log), ["child", "child", "child", "straggler"]);
    assert!(log.late_spawns().is_empty(), "{:?}", log.late_spawns());
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_called_inside_of_a_straggler_is_no_task() {
    /// Spawns once, through a kept `Tasks`, when it is called with an end.
    struct Spawns(Slot<Tasks>, AtomicBool, Log);
    impl DrainObserver for Spawns {
        fn on_drain(&self, _: &DrainReport) {}
        fn on_late_end(&self, _: &TaskInfo) {
            if !self.1.swap(true, Ordering::SeqCst) {
                take(&self.0).named("callback's").spawn(async {});
            }
        }
        fn on_late_spawn(&self, task: &TaskInfo) {
            self.2.on_late_spawn(task);
        }
    }
    let (kept, log) = (Slot::default(), Log::default());
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(Spawns(kept.clone(), AtomicBool::new(false), log.clone()));
    let service = tracked(&layer, move || {
        put(&kept, current());
        let token = current().token();
        spawn(async move {
            after(100).await;
            // Its end is observed at once.
            drop(token);
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let late = log.late_spawns();
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(late[0].name.as_deref(), Some("callback's"));
}

#[tokio::test(start_paused = true)]
async fn what_a_body_spawns_after_its_window_has_closed_is_late_as_ever() {
    let (log, layer) = observed();
    let layer = layer
        .drain_timeout(ms(10))
        .hold(tower_task_tracker::Hold::Head);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(100));
        Ok::<_, Infallible>(Response::new(Frames::new(["a"]).spawns_at_drop(1)))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    drop(answer.into_body().collect().await);
    layer.handle().wait_idle().await;
    let late = log.late_spawns();
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(
        late[0].name.as_deref(),
        Some("last will"),
        "the body is no task"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_in_the_tokio_util_tracker_is_no_task_here() {
    let (log, layer) = observed();
    let layer = layer.drain_timeout(ms(50));
    let service = tracked(&layer, || {
        let tasks = current();
        named("detached").detached().spawn(async {
            // The tracker is waited for, whatever spawns in it.
            current().tracker().spawn(after(20));
            after(200).await;
        });
        let late = tasks.clone();
        tasks.tracker().spawn(async move {
            after(100).await;
            late.named("late").spawn(after(1));
        });
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().spawned, 2, "both of the tracker's");
    layer.handle().wait_idle().await;
    assert_eq!(
        log.late_spawns().len(),
        1,
        "nothing is known of its spawner"
    );
}
