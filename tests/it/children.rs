//! Tasks spawned by detached tasks and by stragglers are detached themselves.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainObserver, DrainReport, Outcome, TaskInfo, TaskScopeLayer, TaskState, TaskTrackerLayer,
    Tasks, TrySpawnError, Unfinished, named, scope, spawn, spawn_blocking,
};

use crate::logs::events::logged;
use crate::subscribers::lines::Lines;
use crate::support::{
    Frames, LastWords, Log, Slot, after, current, ms, put, request, take, told, tracked,
};

/// The names of the tasks whose ends were told alone, sorted.
fn ends(log: &Log) -> Vec<Cow<'static, str>> {
    let ends = log.late_ends().into_iter();
    let mut names: Vec<_> = ends.map(|task| task.name.unwrap_or("?".into())).collect();
    names.sort_unstable();
    names
}

#[tokio::test(start_paused = true)]
async fn what_a_detached_task_spawns_is_detached_itself() {
    let (log, layer) = told();
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
fn spawn_in_every_way(tasks: &Tasks) {
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

const EVERY_WAY: [&str; 16] = [
    "?", "?", "?", "blocking", "deep", "deep", "future", "future", "kept", "local", "on", "spawn",
    "token", "token", "token", "try",
];

#[tokio::test(start_paused = true)]
async fn however_a_straggler_spawns_nobody_is_warned() {
    for unfinished in [Unfinished::Continue, Unfinished::Cancel { grace: ms(1) }] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(50))
            .at_deadline(unfinished)
            .observer(log.clone());
        let lines = Lines::default();
        let _listening = lines.listen();
        let local = tokio::task::LocalSet::new();
        let service = tracked(&layer, || {
            let tasks = current();
            // No abort reaches it.
            let straggler = tasks.clone().named("straggler").track_future(async move {
                after(100).await;
                spawn_in_every_way(&tasks);
                after(100).await;
            });
            tokio::task::spawn_local(straggler);
        });
        let served = async {
            drop(service.oneshot(request()).await);
            assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
            layer.handle().wait_idle().await;
        };
        local.run_until(served).await;
        let told = ends(&log);
        let children: Vec<_> = told.iter().filter(|name| **name != "straggler").collect();
        assert_eq!(children, EVERY_WAY.iter().collect::<Vec<_>>());
        assert!(log.late_spawns().is_empty(), "{:?}", log.late_spawns());
        assert_eq!(lines.count("after its request was released"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_detached_task_spawns_its_children_hold_nothing() {
    let (log, layer) = told();
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
    let (log, layer) = told();
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
async fn what_the_destructor_of_a_straggler_or_a_detached_task_spawns_is_detached() {
    let (log, layer) = told();
    let aborted = Slot::default();
    let out = aborted.clone();
    let service = tracked(&layer.drain_timeout(ms(10)), move || {
        let last_words = || LastWords::new(|| drop(named("last words").spawn(after(50))));
        let (early, late) = (last_words(), last_words());
        let detached = named("detached").detached().spawn(async move {
            let _early = early;
            after(5).await;
        });
        drop(detached);
        let straggler = named("straggler").spawn(async move {
            let _late = late;
            after(600_000).await;
        });
        put(&out, straggler);
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(10));
    assert_eq!(log.report().spawned, 1);
    take(&aborted).abort();
    after(1000).await;
    let all = ["detached", "last words", "last words", "straggler"];
    assert_eq!(ends(&log), all);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_children_of_a_task_whose_client_has_left_are_not_late() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        named("left").spawn(async {
            after(100).await;
            named("child").spawn(after(10));
        });
    });
    drop(tokio::time::timeout(ms(10), service.oneshot(request())).await);
    assert_eq!(log.report().outcome, Outcome::Dropped);
    layer.handle().wait_idle().await;
    assert_eq!(ends(&log), ["child", "left"]);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_required_child_of_a_detached_task_is_just_fallible() {
    let (log, layer) = told();
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
async fn try_spawn_refuses_a_straggler_and_in_a_detached_task_a_shutdown_alone_refuses() {
    let (log, layer) = told();
    let layer = layer.drain_timeout(ms(10));
    let handle = layer.handle();
    let refused = Slot::default();
    let out = refused.clone();
    let service = tracked(&layer, move || {
        let (handle, out) = (handle.clone(), out.clone());
        named("straggler").spawn(async move {
            after(100).await;
            let refused = named("refused").try_spawn(after(10));
            let refused = matches!(refused, Err(TrySpawnError::Released(_)));
            assert!(refused, "no response waits for it");
            named("its child").spawn(async {
                let child = named("child").try_spawn(after(10));
                assert!(child.is_ok(), "it is detached itself");
            });
        });
        named("detached").detached().spawn(async move {
            let child = named("child").try_spawn(after(10));
            assert!(child.is_ok(), "while the request is open");
            after(200).await;
            let child = named("child").try_spawn(after(10));
            assert!(child.is_ok(), "when it is released");
            handle.begin_shutdown(ms(1000));
            put(&out, named("refused").try_spawn(after(10)));
        });
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(10));
    layer.handle().wait_idle().await;
    let refused = take(&refused);
    assert!(matches!(refused, Err(TrySpawnError::ShuttingDown(_))));
    let all = [
        "child",
        "child",
        "child",
        "detached",
        "its child",
        "straggler",
    ];
    assert_eq!(ends(&log), all, "and nothing panicked");
    let ends = log.late_ends();
    assert!(ends.iter().all(|task| task.state == TaskState::Completed));
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kept_tasks_warns_where_the_code_is_no_task_of_that_request() {
    let (log, layer) = told();
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
async fn the_task_that_runs_is_known_inside_of_other_contexts_too() {
    let (log, layer) = told();
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
            // Its end is told here and now.
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
    let (log, layer) = told();
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
    let (log, layer) = told();
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

#[tokio::test(start_paused = true)]
async fn what_a_detached_task_calls_is_a_request_of_its_own() {
    for scoped in [false, true] {
        let (outer_log, outer) = told();
        let (inner_log, inner) = told();
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

#[test]
fn what_a_task_spawns_while_it_becomes_a_straggler_is_late_only_where_the_report_misses_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (log, layer) = told();
    let layer = layer.drain_timeout(ms(0));
    let rounds: usize = 300;
    let children = 100;
    for _ in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let done = stop.clone();
        let service = tracked(&layer, move || {
            let done = done.clone();
            spawn_blocking(move || {
                for _ in 0..children {
                    spawn(async {});
                }
                done.store(true, Ordering::SeqCst);
            });
        });
        runtime.block_on(async { drop(service.oneshot(request()).await) });
        runtime.block_on(layer.handle().wait_idle());
        assert!(stop.load(Ordering::SeqCst), "no assertion of it failed");
    }
    // One that was counted in before the release, and is listed after the report, is in none: it is told
    // of as late.
    let late = log.late_spawns().len();
    assert!(late <= rounds, "{late} are called late");
    let reports = log.reports();
    let reported: usize = reports.iter().map(|report| report.spawned).sum();
    let stragglers: usize = reports.iter().map(|report| report.stragglers.len()).sum();
    let ends = log.late_ends().len();
    assert!(
        reported + ends <= rounds * (1 + children) + stragglers,
        "no task is told of twice"
    );
}
