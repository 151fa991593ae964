//! How a shutdown affects new requests and held responses.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Limit, Outcome, ShutdownReport, TaskTrackerLayer, TrackerHandle, TrySpawnError, Unfinished,
    named, spawn,
};

use super::slow;
use crate::support::{DropTime, Frames, Log, after, current, full, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_held_response_is_released_when_the_shutdown_is_to_be_over() {
    let (log, layer) = observed();
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
    assert_eq!(drained.closed_by, Some(Limit::Shutdown));
    assert_eq!(drained.held, ms(1050));
    assert!(
        drained
            .to_string()
            .starts_with("shut down (shutdown): 0 of 1")
    );
    // It ran on, and its response cannot wait for it any longer.
    assert_eq!((report.completed, report.aborted), (0, 1));
    assert!(!report.is_clean());
    assert_eq!(began.elapsed(), ms(1050));
    assert_eq!(handle.live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn windows_that_open_later_are_capped_too() {
    let (log, layer) = observed();
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
    let (log, layer) = observed();
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
        (Unfinished::Continue, 1000, 1000),
        (Unfinished::Abort, 900, 900),
        (Unfinished::Cancel { grace: ms(400) }, 600, 900),
    ] {
        for held in [true, false] {
            let log = Log::default();
            let (deaf, polite) = (DropTime::new(), DropTime::new());
            let layer = TaskTrackerLayer::new()
                .at_deadline(policy)
                .observer(log.clone());
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
                    let tasks = current();
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
async fn with_no_task_alive_a_shutdown_is_over_at_once() {
    let report = TrackerHandle::new().shutdown(Duration::MAX).await;
    assert_eq!(report, ShutdownReport::default());
}

#[tokio::test(start_paused = true)]
async fn new_work_is_refused_by_try_spawn_and_waited_for_by_spawn() {
    let (log, layer) = observed();
    let handle = layer.handle();
    let service = tracked(&layer, || {
        let tasks = current();
        named("before").spawn(async move {
            after(100).await;
            let refused = tasks.try_spawn(after(50));
            assert!(matches!(refused, Err(TrySpawnError::ShuttingDown(_))));
            named("after").spawn(after(50));
        });
    });
    let (_, report) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(1000)));
    assert_eq!(report.waited, ms(150));
    assert_eq!(log.report().spawned, 2, "what was refused is not counted");
    let refused = handle.process_tasks().try_spawn(std::future::ready(7));
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
        .observer(log.clone());
    let watched = DropTime::new();
    let service = tracked(&layer, slow(&watched, 30_000));
    drop(tokio::time::timeout(ms(20), service.oneshot(request())).await);
    layer.handle().begin_shutdown(ms(1000));
    layer.handle().wait_idle().await;
    assert_eq!(watched.get(), Some(ms(1020)));
    assert_eq!(log.report().outcome, Outcome::Dropped);
}

#[test]
fn what_the_end_of_a_shutdown_aborts_has_not_drained() {
    for _ in 0..20 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (log, layer) = observed();
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
async fn a_shutdown_that_is_not_awaited_releases_held_responses() {
    let (log, layer) = observed();
    let handle = layer.handle();
    let began = Instant::now();
    let service = tracked(&layer, slow(&DropTime::new(), 5000));
    let held = async { drop(service.oneshot(request()).await) };
    tokio::join!(held, async {
        after(50).await;
        handle.begin_shutdown(ms(1000));
        // The earlier end counts.
        handle.begin_shutdown(ms(9000));
    });
    assert_eq!(began.elapsed(), ms(1050));
    assert_eq!(log.report().outcome, Outcome::Shutdown);
    handle.wait_idle().await;
    assert_eq!(began.elapsed(), ms(5000), "what was detached runs on");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_at_the_last_moment_has_what_is_left() {
    for (handler, task) in [(0, 30), (30, 10), (10, 30)] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .at_deadline(Unfinished::Abort)
            .observer(log.clone());
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

/// What the handler has aborted itself is no reason.
#[tokio::test(start_paused = true)]
async fn after_the_end_of_a_shutdown_what_ends_in_its_turn_has_drained() {
    let (log, layer) = observed();
    layer.handle().begin_shutdown(ms(0));
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(600_000)).abort();
        tokio::task::yield_now().await;
        spawn(async {});
        Ok::<_, Infallible>(full("done"))
    }));
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!((report.completed, report.aborted), (1, 1));
}
