//! The process is told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Bound, Outcome, ShutdownReport, SpawnError, TaskState, TaskTrackerLayer, Tasks, TrackerHandle,
    Unfinished, named,
};

use crate::support::{DropTime, Frames, Log, Wakes, after, ms, request, tracked};

/// A task that takes so long, and is watched.
fn slow(watched: &DropTime, millis: u64) -> impl Fn() + Clone + Send + use<> {
    let watched = watched.clone();
    move || {
        let watch = watched.watch();
        named("slow").spawn(async move {
            let _watch = watch;
            after(millis).await;
        });
    }
}

/// A handle with a task that no response waits for.
async fn straggling(layer: TaskTrackerLayer, watched: &DropTime, millis: u64) -> TrackerHandle {
    let layer = layer.drain_timeout(ms(0));
    drop(
        tracked(&layer, slow(watched, millis))
            .oneshot(request())
            .await,
    );
    assert_eq!(layer.handle().live_tasks(), 1);
    layer.handle()
}

#[tokio::test(start_paused = true)]
async fn a_held_response_is_released_when_the_shutdown_is_to_be_over() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let handle = layer.handle();
    let began = Instant::now();
    let held = tracked(&layer, slow(&DropTime::new(), 5000)).oneshot(request());
    let (answer, report) = tokio::join!(held, async {
        after(50).await;
        handle.shutdown(ms(1000)).await
    });
    assert_eq!(answer.map(|answer| answer.status()), Ok(StatusCode::OK));
    let drained = log.report();
    assert_eq!(drained.outcome, Outcome::Shutdown);
    assert_eq!(drained.closed_by, Some(Bound::Shutdown));
    assert_eq!(drained.held, ms(1050));
    assert!(
        drained
            .to_string()
            .starts_with("shut down (shutdown): 0 of 1")
    );
    // It ran on, and nobody can wait for it any longer.
    assert_eq!((report.completed, report.aborted), (0, 1));
    assert!(!report.is_clean());
    assert_eq!(began.elapsed(), ms(1050));
    assert_eq!(handle.live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn windows_that_open_later_are_capped_too() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    layer.handle().begin_shutdown(ms(1000));
    after(900).await;
    let asked = Instant::now();
    let service = tracked(&layer, slow(&DropTime::new(), 5000));
    drop(service.clone().oneshot(request()).await);
    assert_eq!(asked.elapsed(), ms(100));
    drop(service.oneshot(request()).await);
    assert_eq!(asked.elapsed(), ms(100), "the time is up");
    let outcomes: Vec<_> = log.reports().iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Shutdown; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_held_end_is_capped_too() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("slow").spawn(after(60_000));
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let began = Instant::now();
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(began.elapsed(), ms(0), "its head is not held");
    let (body, shutdown) = tokio::join!(
        async { (answer.into_body().collect().await, began.elapsed()) },
        async {
            after(50).await;
            layer.handle().shutdown(ms(1000)).await
        }
    );
    assert!(body.0.is_ok(), "the body is whole");
    assert_eq!(body.1, ms(1050));
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Shutdown);
    assert_eq!((report.held, report.stragglers.len()), (ms(1050), 1));
    assert_eq!(shutdown.aborted, 1, "{shutdown}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_capped_too() {
    let layer = TaskTrackerLayer::new().before_release(|_| after(60_000));
    let handle = layer.handle();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let began = Instant::now();
    let (took, report) = tokio::join!(
        async {
            let Ok(answer) = service.oneshot(request()).await;
            drop(answer.into_body().collect().await);
            began.elapsed()
        },
        async {
            after(50).await;
            handle.shutdown(ms(1000)).await
        }
    );
    assert_eq!(took, ms(1050), "it had no task to be found by");
    assert!(report.is_clean());
}

#[tokio::test(start_paused = true)]
async fn the_policy_is_about_this_deadline_as_about_any_other() {
    for (policy, cancelled, aborted) in [
        (Unfinished::Detach, 1000, 1000),
        (Unfinished::Abort, 900, 900),
        (Unfinished::Cancel { grace: ms(400) }, 600, 900),
    ] {
        for held in [true, false] {
            let log = Log::default();
            let (deaf, polite) = (DropTime::new(), DropTime::new());
            let layer = TaskTrackerLayer::new()
                .at_deadline(policy)
                .on_drain(log.clone());
            let layer = if held {
                layer
            } else {
                layer.hold(tower_task_tracker::Hold::Never)
            };
            let handle = layer.handle();
            let service = tracked(&layer, {
                let (deaf, polite) = (slow(&deaf, 60_000), polite.clone());
                move || {
                    deaf();
                    let tasks = Tasks::current().expect("in a request");
                    let (watch, token) = (polite.watch(), tasks.cancellation_token());
                    named("polite").spawn(async move {
                        let _watch = watch;
                        token.cancelled().await;
                    });
                }
            });
            let served = async { drop(service.oneshot(request()).await) };
            let ((), report) = tokio::join!(served, handle.shutdown(ms(1000)));
            let what = format!("{policy:?}, held: {held}");
            assert_eq!(polite.get(), Some(ms(cancelled)), "{what}");
            assert_eq!(deaf.get(), Some(ms(aborted)), "{what}");
            assert!(report.waited <= ms(1000), "{what}: {report}");
            assert_eq!(report.completed + report.aborted, 2, "{what}: {report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_response_waits_for_is_waited_for() {
    let watched = DropTime::new();
    let handle = straggling(TaskTrackerLayer::new(), &watched, 300).await;
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!(report.waited, ms(300));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.completed, 1);
    assert_eq!(
        report.to_string(),
        "shut down after 300.0ms: 1 tasks completed"
    );
}

#[tokio::test(start_paused = true)]
async fn stragglers_are_treated_as_their_policy_says_and_aborted_at_the_end() {
    for (policy, at) in [
        (Unfinished::Detach, 1000),
        (Unfinished::Abort, 900),
        (Unfinished::Cancel { grace: ms(400) }, 900),
    ] {
        let watched = DropTime::new();
        // Their own window has closed by a client's deadline, which detaches.
        let layer = TaskTrackerLayer::new()
            .at_deadline(policy)
            .deadline_from(tower_task_tracker::deadline::grpc_timeout());
        let mut asked = request();
        let timeout = http::HeaderValue::from_static("1n");
        asked.headers_mut().insert("grpc-timeout", timeout);
        let service = tracked(&layer, slow(&watched, 60_000));
        drop(service.oneshot(asked).await);
        after(1).await;
        let start = Instant::now();
        let report = layer.handle().shutdown(ms(1000)).await;
        assert_eq!(start.elapsed(), ms(at), "{policy:?}");
        assert_eq!(report.aborted, 1, "{policy:?}: {report}");
        assert!(report.to_string().contains("1 aborted"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn destructors_have_a_moment_after_the_end() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(0));
    let service = tracked(&layer, || {
        named("slow").spawn(async {
            let _last_words = crate::support::LastWords::new(|| {
                named("last words").detached().spawn(after(50));
            });
            after(60_000).await;
        });
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(1000)).await;
    assert_eq!(report.waited, ms(1050));
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stopped_is_named() {
    let handle = TrackerHandle::new();
    let (let_go, until) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    handle.tasks().named("stuck").spawn_blocking(move || {
        let _ = began.send(());
        let _ = until.recv();
    });
    assert!(begun.await.is_ok());
    let (report, ()) = tokio::join!(handle.shutdown(ms(20)), async {
        for _ in 0..100 {
            // Paused time does not pass by itself while a blocking closure runs.
            tokio::time::advance(ms(10)).await;
        }
    });
    assert!(report.waited >= ms(20), "{report}");
    assert_eq!(report.still_running.len(), 1);
    assert_eq!(report.still_running[0].name, Some("stuck"));
    assert!(!report.is_clean());
    assert!(
        report.to_string().contains("; still running: stuck ("),
        "{report}"
    );
    drop(let_go);
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn twice_or_at_once_it_is_one_shutdown_and_the_earliest_end_counts() {
    let handle = straggling(TaskTrackerLayer::new(), &DropTime::new(), 60_000).await;
    let start = Instant::now();
    let (first, second) = tokio::join!(handle.shutdown(ms(5000)), async {
        after(100).await;
        handle.shutdown(ms(400)).await
    });
    assert_eq!(start.elapsed(), ms(500));
    assert_eq!((first.waited, second.waited), (ms(500), ms(500)));
    assert_eq!(first.troubled[0].name, Some("slow"));
    assert_eq!((first.aborted, second.aborted), (1, 1));
    let again = handle.shutdown(Duration::MAX).await;
    assert_eq!(again.waited, ms(500), "it is over");
    assert_eq!(again.aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_alive_it_is_over_at_once() {
    let report = TrackerHandle::new().shutdown(Duration::MAX).await;
    assert_eq!(report, ShutdownReport::default());
}

#[tokio::test(start_paused = true)]
async fn dropped_it_aborts_nothing() {
    let watched = DropTime::new();
    let handle = straggling(TaskTrackerLayer::new(), &watched, 3000).await;
    let waited = tokio::time::timeout(ms(50), handle.shutdown(ms(1000))).await;
    assert!(waited.is_err());
    handle.wait_idle().await;
    assert_eq!(watched.get(), Some(ms(3000)));
}

#[tokio::test(start_paused = true)]
async fn new_work_is_refused_by_try_spawn_and_waited_for_by_spawn() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let handle = layer.handle();
    let service = tracked(&layer, || {
        let tasks = Tasks::current().expect("in a request");
        named("before").spawn(async move {
            after(100).await;
            let refused = tasks.try_spawn(after(50));
            assert!(matches!(refused, Err(SpawnError::ShuttingDown(_))));
            named("after").spawn(after(50));
        });
    });
    let (_, report) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(1000)));
    assert_eq!(report.waited, ms(150));
    assert_eq!(log.report().spawned, 2, "what was refused is not counted");
    let refused = handle.tasks().try_spawn(std::future::ready(7));
    let Err(refused) = refused else {
        panic!("it is shut down");
    };
    assert!(refused.to_string().contains("shutting down"));
    assert_eq!(refused.into_inner().await, 7);
    assert_eq!(handle.live_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_a_client_that_left_ends_with_the_shutdown() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Cancel { grace: ms(60_000) })
        .on_drain(log.clone());
    let watched = DropTime::new();
    let service = tracked(&layer, slow(&watched, 30_000));
    drop(tokio::time::timeout(ms(20), service.oneshot(request())).await);
    layer.handle().begin_shutdown(ms(1000));
    layer.handle().wait_idle().await;
    assert_eq!(watched.get(), Some(ms(1020)));
    assert_eq!(log.report().outcome, Outcome::Dropped);
}

#[tokio::test(start_paused = true)]
async fn the_work_of_the_process_is_of_no_request_and_is_waited_for() {
    let handle = TrackerHandle::new();
    let (asked, stopped) = (DropTime::new(), DropTime::new());
    let tasks = handle.tasks();
    let token = tasks.cancellation_token();
    let (watch, asked_watch) = (stopped.watch(), asked.watch());
    handle.spawn(async move {
        let _watch = watch;
        named("nested").spawn(after(20));
        token.cancelled().await;
        drop(asked_watch);
        after(300).await;
    });
    after(100).await;
    assert_eq!((handle.live_requests(), handle.live_tasks()), (1, 1));
    assert!(!tasks.is_released(), "it never is");
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!(asked.get(), Some(ms(100)), "it is asked to stop at once");
    assert_eq!(stopped.get(), Some(ms(400)));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.completed, 1);
    assert!(handle.tasks().cancellation_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_the_process_itself_calls_is_the_outermost() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let handle = layer.handle();
    let service = tracked(&layer, slow(&DropTime::new(), 30));
    let asked = Instant::now();
    let called = handle.spawn(async move { service.oneshot(request()).await });
    let answer = called.await.expect("no panic");
    assert_eq!(asked.elapsed(), ms(30), "it is held");
    drop(answer);
    assert_eq!(
        log.report().last.map(|task| task.state),
        Some(TaskState::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_process_is_cancelled_whatever_became_of_the_rest() {
    let handle = TrackerHandle::new();
    let token = handle.tasks().cancellation_token();
    handle.spawn({
        let token = token.clone();
        async move { token.cancelled().await }
    });
    let report = handle.shutdown(ms(1000)).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.waited, ms(0));
    assert!(token.is_cancelled());
}

#[test]
fn what_the_end_of_a_shutdown_aborts_has_not_drained() {
    for _ in 0..20 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let log = Log::default();
        let layer = TaskTrackerLayer::new().on_drain(log.clone());
        let handle = layer.handle();
        let service = tracked(&layer, slow(&DropTime::new(), 60_000));
        let report = runtime.block_on(async {
            let held = tokio::spawn(async { drop(service.oneshot(request()).await) });
            while handle.live_tasks() == 0 {
                tokio::task::yield_now().await;
            }
            let report = handle.shutdown(ms(20)).await;
            drop(held.await);
            report
        });
        assert_eq!(log.report().outcome, Outcome::Shutdown, "{}", log.report());
        assert_eq!(report.aborted, 1, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_destructor_spawns_at_the_end_is_aborted_too() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(0));
    let service = tracked(&layer, || {
        crate::support::slow_with(|| {
            named("rollback").detached().spawn(after(60_000));
        });
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(1000)).await;
    assert!(report.still_running.is_empty(), "{report}");
    let names: Vec<_> = report.troubled.iter().map(|task| task.name).collect();
    assert_eq!(names, [Some("slow"), Some("rollback")]);
    assert!(
        report
            .to_string()
            .contains("2 aborted; troubled: slow (aborted"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn begun_is_enough_for_held_responses() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let handle = layer.handle();
    let began = Instant::now();
    let service = tracked(&layer, slow(&DropTime::new(), 5000));
    let held = async { drop(service.oneshot(request()).await) };
    tokio::join!(held, async {
        after(50).await;
        handle.begin_shutdown(ms(1000));
        // Nobody can have it later than that.
        handle.begin_shutdown(ms(9000));
    });
    assert_eq!(began.elapsed(), ms(1050));
    assert_eq!(log.report().outcome, Outcome::Shutdown);
    handle.wait_idle().await;
    assert_eq!(began.elapsed(), ms(5000), "what was detached runs on");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_process_is_cancelled_though_it_has_no_task() {
    let handle = TrackerHandle::new();
    let (before, kept) = (handle.tasks().cancellation_token(), handle.tasks());
    handle.begin_shutdown(ms(1000));
    assert!(before.is_cancelled());
    assert!(kept.cancellation_token().is_cancelled());
    assert!(handle.tasks().cancellation_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn stragglers_that_come_up_during_a_shutdown_have_their_grace_too() {
    let asked = DropTime::new();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(0))
        .at_deadline(Unfinished::Cancel { grace: ms(800) });
    let handle = layer.handle();
    handle.spawn(after(60_000));
    let service = tracked(&layer, {
        let asked = asked.clone();
        move || {
            // The time of its own window is up; this one is spawned after it.
            let tasks = Tasks::current().expect("in a request");
            let (watch, token) = (asked.watch(), tasks.cancellation_token());
            tokio::spawn(async move {
                after(100).await;
                tasks.named("late").spawn(async move {
                    let _watch = watch;
                    token.cancelled().await;
                });
            });
        }
    });
    let served = async {
        after(50).await;
        drop(service.oneshot(request()).await);
    };
    let ((), report) = tokio::join!(served, handle.shutdown(ms(1000)));
    assert_eq!(asked.get(), Some(ms(200)), "at the end less its grace");
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_at_the_last_moment_has_what_is_left() {
    for (handler, task) in [(0, 30), (30, 10), (10, 30)] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .at_deadline(Unfinished::Abort)
            .on_drain(log.clone());
        let handle = layer.handle();
        handle.spawn(after(60_000));
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            named("quick").spawn(after(task));
            after(handler).await;
            Ok::<_, Infallible>(crate::support::full("done"))
        }));
        let served = async {
            after(950).await;
            drop(service.oneshot(request()).await);
        };
        let ((), report) = tokio::join!(served, handle.shutdown(ms(1000)));
        assert!(
            log.report().is_clean(),
            "{handler} {task}: {}",
            log.report()
        );
        assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_failed_or_panicked_is_not_clean() {
    let handle = TrackerHandle::new();
    handle.begin_shutdown(ms(1000));
    let fails = async { Err::<(), _>("no disk") };
    handle.tasks().named("fails").fallible().spawn(fails);
    let panics = async { std::panic::resume_unwind(Box::new("no memory")) };
    handle.tasks().named("panics").spawn(panics);
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!((report.failed, report.panicked, report.aborted), (1, 1, 0));
    assert!(!report.is_clean());
    let line = report.to_string();
    assert!(
        line.contains("0 tasks completed, 1 failed, 1 panicked; troubled: "),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_spawn_of_somebody_who_is_known_does_not_wake_it() {
    let handle = TrackerHandle::new();
    let tasks = handle.tasks();
    let _alive = tasks.token();
    let mut shutdown = pin!(handle.shutdown(ms(10_000)));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(shutdown.as_mut().poll(&mut cx).is_pending());
    wakes.take();
    for _ in 0..10 {
        drop(tasks.token());
        assert!(shutdown.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(wakes.take(), 0, "it walks over all requests each time");
}
