//! Code of tracked requests that waits for its own process: for a shutdown, or until the handle is idle.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{
    Outcome, RunToCompletionLayer, ShutdownReport, TaskTrackerLayer, TrackerHandle, Unfinished,
    named, scope, spawn, untracked,
};

use crate::run_to_completion::handlers::poll_and_leave;
use crate::support::{Slot, after, current, full, ms, put, request, take, told, tracked};

/// What waits got, and when, in their order.
#[derive(Clone)]
struct Got {
    began: Instant,
    all: Arc<Mutex<Vec<Entry>>>,
}

/// The name of a wait, when it was over, and the report of a shutdown.
type Entry = (&'static str, Duration, Option<ShutdownReport>);

impl Got {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            all: Arc::default(),
        }
    }

    /// Waits for the shutdown, for a second at most, and writes down what it got.
    fn stop(&self, name: &'static str, handle: &TrackerHandle) -> impl Future<Output = ()> + use<> {
        let (got, handle) = (self.clone(), handle.clone());
        async move {
            let report = handle.shutdown(ms(1000)).await;
            got.push(name, Some(report));
        }
    }

    fn idle(&self, name: &'static str, handle: &TrackerHandle) -> impl Future<Output = ()> + use<> {
        let (got, handle) = (self.clone(), handle.clone());
        async move {
            handle.wait_idle().await;
            got.push(name, None);
        }
    }

    fn push(&self, name: &'static str, report: Option<ShutdownReport>) {
        let mut all = self.all.lock().expect("no panic holds this lock");
        all.push((name, self.began.elapsed(), report));
    }

    /// The names, sorted, with the times.
    fn times(&self) -> Vec<(&'static str, Duration)> {
        let all = self.all.lock().expect("no panic holds this lock");
        let mut times: Vec<_> = all.iter().map(|(name, at, _)| (*name, *at)).collect();
        times.sort_unstable();
        times
    }

    #[track_caller]
    fn report(&self, name: &str) -> ShutdownReport {
        let all = self.all.lock().expect("no panic holds this lock");
        let got = all.iter().find(|(other, ..)| *other == name);
        let report = got.and_then(|(_, _, report)| report.clone());
        report.unwrap_or_else(|| panic!("{name} got its report"))
    }
}

/// Runs a wait as code of a request, which has begun with a task of 300 ms.
type Runs = fn(Pin<Box<dyn Future<Output = ()> + Send>>, &TrackerHandle);

const KINDS: [(&str, Runs); 7] = [
    ("spawn", |wait, _| drop(named("wait").spawn(wait))),
    ("detached", |wait, _| {
        drop(named("wait").detached().spawn(wait));
    }),
    ("of the process", |wait, handle| drop(handle.spawn(wait))),
    ("track_future", |wait, _| {
        drop(tokio::spawn(named("wait").track_future(wait)));
    }),
    ("untracked", |wait, _| {
        drop(named("wait").spawn(untracked(wait)));
    }),
    ("scope", |wait, _| {
        drop(named("wait").spawn(async {
            scope(|_| async {
                spawn(after(200));
                wait.await;
            })
            .await;
        }));
    }),
    ("joined", |wait, _| {
        let handle = current();
        let idle = async move { drop(handle) };
        spawn(async { tokio::join!(wait, idle) });
    }),
];

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_the_shutdown_waits_for_all_but_itself() {
    for (kind, run) in KINDS {
        let (log, layer) = told();
        let (handle, got) = (layer.handle(), Got::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("sibling").spawn(after(300));
            run(Box::pin(g.stop("stop", &h)), &h);
        });
        let answer = service.oneshot(request()).await;
        drop(answer);
        handle.wait_idle().await;
        assert_eq!(got.times(), [("stop", ms(300))], "{kind}");
        let report = got.report("stop");
        assert!(report.is_clean(), "{kind}: {report}");
        assert_eq!(got.began.elapsed(), ms(300), "{kind}: its response too");
        assert_eq!(log.report().outcome, Outcome::Drained, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_idleness_waits_for_all_but_itself() {
    for (kind, run) in KINDS {
        let layer = TaskTrackerLayer::new();
        let (handle, got) = (layer.handle(), Got::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("sibling").spawn(after(300));
            run(Box::pin(g.idle("idle", &h)), &h);
        });
        drop(service.oneshot(request()).await);
        handle.wait_idle().await;
        assert_eq!(got.times(), [("idle", ms(300))], "{kind}");
        assert_eq!(
            got.began.elapsed(),
            ms(300),
            "{kind}: and so is its response"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_awaits_a_task_that_awaits_the_shutdown_is_let_go_at_its_end() {
    let (log, layer) = told();
    let (handle, got) = (layer.handle(), Got::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&layer, move || {
        let wait = g.stop("stop", &h);
        named("outer").detached().spawn(async {
            drop(named("inner").spawn(wait).await);
        });
    });
    drop(service.oneshot(request()).await);
    handle.wait_idle().await;
    assert_eq!(
        got.times(),
        [("stop", ms(1000))],
        "a circle that no wait sees"
    );
    let report = got.report("stop");
    assert_eq!(
        (report.aborted, report.still_running.len()),
        (1, 0),
        "{report}"
    );
    assert_eq!(log.report().spawned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_awaits_the_shutdown_waits_for_the_tasks_of_its_request() {
    for unfinished in [Unfinished::Continue, Unfinished::Abort] {
        let (log, layer) = told();
        let layer = layer.at_deadline(unfinished);
        let (handle, got) = (layer.handle(), Got::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = layer.layer(service_fn(move |_: Request<()>| {
            named("own").spawn(after(300));
            named("own detached").detached().spawn(after(400));
            let wait = g.stop("stop", &h);
            async move {
                wait.await;
                Ok::<_, Infallible>(full("stopped"))
            }
        }));
        let answer = service.oneshot(request()).await.expect("infallible");
        assert_eq!(got.times(), [("stop", ms(400))]);
        let report = got.report("stop");
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.completed, 2);
        drop(answer.into_body().collect().await);
        assert_eq!(log.report().spawned, 1);
        handle.wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn several_waits_do_not_wait_for_each_other() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), Got::new());
    let (h, g) = (handle.clone(), got.clone());
    // Two in one request, one in a handler, one of the process, and one for idleness.
    let service = tracked(&layer, move || {
        spawn(g.stop("a", &h));
        named("b").detached().spawn(g.stop("b", &h));
        spawn(g.idle("c", &h));
    });
    let (h, g) = (handle.clone(), got.clone());
    let admin = layer.layer(service_fn(move |_: Request<()>| {
        let wait = g.stop("d", &h);
        spawn(after(300));
        async move {
            wait.await;
            Ok::<_, Infallible>(full("stopped"))
        }
    }));
    handle.spawn(got.stop("e", &handle));
    let outside = got.stop("outside", &handle);
    // What the last one waits for is more: that those tasks and their responses end.
    tokio::join!(
        async { drop(service.oneshot(request()).await) },
        async { drop(admin.oneshot(request()).await) },
        outside,
    );
    let times = ["a", "b", "c", "d", "e", "outside"].map(|name| (name, ms(300)));
    assert_eq!(got.times(), times);
    for name in ["a", "b", "d", "e", "outside"] {
        let report = got.report(name);
        assert!(report.still_running.is_empty(), "{name}: {report}");
        assert_eq!(report.aborted, 0, "{name}: {report}");
    }
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn who_awaits_the_shutdown_is_not_aborted_at_its_end_and_is_not_named() {
    for (kind, run) in KINDS {
        let layer = TaskTrackerLayer::new();
        let (handle, got) = (layer.handle(), Got::new());
        let (h, g) = (handle.clone(), got.clone());
        // Nothing can end this one, and the others are slow.
        let stuck = handle.process_tasks().named("stuck").token();
        handle.spawn(after(600_000));
        let service = tracked(&layer, move || {
            named("sibling").spawn(after(600_000));
            run(Box::pin(g.stop("stop", &h)), &h);
        });
        let served = service.oneshot(request());
        let served = async { drop(served.await) };
        tokio::join!(got.stop("outside", &handle), served);
        // The other one has its report in the same instant.
        after(1).await;
        for name in ["outside", "stop"] {
            let report = got.report(name);
            let left: Vec<_> = report
                .still_running
                .iter()
                .map(|task| task.name.as_deref())
                .collect();
            assert_eq!(left, [Some("stuck")], "{kind}, {name}: {report}");
            assert_eq!(report.aborted, 2, "{kind}, {name}: {report}");
        }
        let latest = got.times().iter().map(|(_, at)| *at).max();
        assert_eq!(latest, Some(ms(1110)), "{kind}: the end and a moment");
        drop(stuck);
        handle.wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_of_its_response_has_a_policy_that_also_counts_for_a_task_that_awaits_the_shutdown()
 {
    for (detached, name) in [(false, None), (true, Some("stop"))] {
        let layer = TaskTrackerLayer::new().at_deadline(Unfinished::Abort);
        let (handle, got) = (layer.handle(), Got::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("slow").spawn(after(600_000));
            let task = named("stop");
            let task = if detached { task.detached() } else { task };
            task.spawn(g.stop("stop", &h));
        });
        drop(service.oneshot(request()).await);
        handle.wait_idle().await;
        let times: Vec<_> = got.times().iter().map(|(name, _)| *name).collect();
        assert_eq!(times, Vec::from_iter(name));
    }
}

#[tokio::test(start_paused = true)]
async fn a_straggler_that_awaits_the_shutdown_is_spared_by_the_policy_of_its_layer() {
    for policy in [Unfinished::Abort, Unfinished::Cancel { grace: ms(400) }] {
        let layer = TaskTrackerLayer::new()
            .at_deadline(policy)
            .deadline_source(tower_task_tracker::deadline::grpc_timeout());
        let (handle, got) = (layer.handle(), Got::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("slow").spawn(after(600_000));
            let wait = g.stop("stop", &h);
            named("straggler").spawn(async move {
                after(50).await;
                wait.await;
            });
        });
        drop(
            service
                .oneshot(crate::support::with_field("grpc-timeout", "1m"))
                .await,
        );
        handle.wait_idle().await;
        assert_eq!(
            got.times(),
            [("stop", ms(950))],
            "{policy:?}: the other is aborted"
        );
        let report = got.report("stop");
        assert_eq!(
            (report.aborted, report.still_running.len()),
            (1, 0),
            "{report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_half_way_leaves_an_ordinary_task() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
    let (handle, got) = (layer.handle(), Got::new());
    let h = handle.clone();
    let service = tracked(&layer, move || {
        let h = h.clone();
        named("impatient").spawn(async move {
            assert!(timeout(ms(50), h.shutdown(ms(1000))).await.is_err());
            after(600_000).await;
        });
        named("slow").spawn(after(300));
    });
    drop(service.oneshot(request()).await);
    handle.spawn(got.stop("stop", &handle));
    handle.wait_idle().await;
    assert_eq!(got.times(), [("stop", ms(1000))], "it is waited for");
    let report = got.report("stop");
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_in_a_tracker_is_waited_for_also_in_the_request_of_the_wait() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), Got::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&layer, move || {
        current().tracker().spawn(after(300));
        spawn(g.stop("stop", &h));
        spawn(g.idle("idle", &h));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("idle", ms(300)), ("stop", ms(300))]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_and_a_body_that_await_the_shutdown_do_not_wait_for_their_response() {
    let got = Got::new();
    let handle = TrackerHandle::new();
    let (h, g) = (handle.clone(), got.clone());
    let layer = TaskTrackerLayer::new()
        .tracked_by(&handle)
        .before_release(move |_| g.stop("hook", &h));
    let service = tracked(&layer, || {
        spawn(after(100));
        named("detached").detached().spawn(after(300));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("hook", ms(300))]);

    let (handle, got) = (TrackerHandle::new(), Got::new());
    let layer = TaskTrackerLayer::new().tracked_by(&handle);
    let (h, g) = (handle.clone(), got.clone());
    let service = layer.layer(service_fn(move |_: Request<()>| {
        spawn(after(300));
        let wait = g.stop("body", &h);
        let stream = async move {
            wait.await;
            Ok::<_, Infallible>(http_body::Frame::data(bytes::Bytes::from("stopped")))
        };
        let body = http_body_util::StreamBody::new(futures_util::stream::once(Box::pin(stream)));
        async { Ok::<_, Infallible>(Response::new(body)) }
    }));
    let answer = service.oneshot(request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    assert_eq!(got.times(), [("body", ms(300))]);
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_on_without_its_client_waits_as_the_task_that_it_is_then() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), Got::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            let wait = g.stop("stop", &h);
            named("slow").detached().spawn(after(300));
            async move {
                wait.await;
                Ok::<_, Infallible>(full("stopped"))
            }
        }));
    poll_and_leave(service.oneshot(request()));
    handle.wait_idle().await;
    assert_eq!(got.times(), [("stop", ms(300))]);
    assert!(got.report("stop").is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_tracked_elsewhere_waits_for_everything_here() {
    let (here, elsewhere) = (TaskTrackerLayer::new(), TaskTrackerLayer::new());
    let (handle, got) = (here.handle(), Got::new());
    drop(
        tracked(&here, || drop(named("slow").detached().spawn(after(300))))
            .oneshot(request())
            .await,
    );
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&elsewhere, move || {
        spawn(g.stop("stop", &h));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("stop", ms(300))]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_from_outside_waits_for_the_tasks_that_wait_and_for_what_they_do_then() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), Got::new());
    let wait = got.stop("stop", &handle);
    let kept: Slot<_> = Slot::default();
    put(&kept, wait);
    let service = tracked(&layer, move || {
        let wait = take(&kept);
        named("stop").spawn(async move {
            wait.await;
            after(100).await;
        });
        named("slow").spawn(after(300));
    });
    let (answer, ()) = tokio::join!(service.oneshot(request()), got.stop("outside", &handle));
    drop(answer);
    assert_eq!(got.times(), [("outside", ms(400)), ("stop", ms(300))]);
    assert_eq!(
        got.report("outside").completed,
        3 - 1,
        "it and the slow one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_in_two_ways_is_one_task() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), Got::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&layer, move || {
        let (stop, idle) = (g.stop("stop", &h), g.idle("idle", &h));
        spawn(async { tokio::join!(stop, idle) });
        spawn(after(300));
        named("other").detached().spawn(after(400));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("idle", ms(400)), ("stop", ms(400))]);
}

#[test]
fn a_blocking_closure_that_awaits_the_shutdown_waits_for_all_but_itself() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let report = Slot::default();
    let out = report.clone();
    let service = tracked(&layer, move || {
        let (handle, out) = (handle.clone(), out.clone());
        spawn(after(20));
        let runtime = tokio::runtime::Handle::current();
        named("stop").spawn_blocking(move || {
            put(
                &out,
                runtime.block_on(handle.shutdown(Duration::from_secs(60))),
            );
        });
    });
    runtime.block_on(async { drop(service.oneshot(request()).await) });
    let report: ShutdownReport = take(&report);
    assert!(report.is_clean(), "{report}");
    assert!(report.waited < Duration::from_secs(60), "{report}");
}

#[test]
fn of_waits_that_race_the_ends_of_tasks_none_is_forgotten() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .expect("a runtime");
    for round in 0..200 {
        let layer = TaskTrackerLayer::new();
        let handle = layer.handle();
        let h = handle.clone();
        let service = tracked(&layer, move || {
            for index in 0..4 {
                let task = named("quick");
                let task = if index % 2 == 0 {
                    task.detached()
                } else {
                    task
                };
                task.spawn(tokio::task::yield_now());
                let h = h.clone();
                named("wait").spawn(async move {
                    if index == 0 {
                        h.wait_idle().await;
                    } else {
                        h.shutdown(Duration::from_secs(600)).await;
                    }
                });
            }
        });
        let served = runtime.block_on(async {
            let requests = async {
                let others = tokio::spawn(service.clone().oneshot(request()));
                drop(service.oneshot(request()).await);
                drop(others.await);
                handle.wait_idle().await;
            };
            timeout(Duration::from_secs(30), requests).await
        });
        assert!(served.is_ok(), "a wait was forgotten in round {round}");
    }
}

/// Runs a handler that spawns a task of 100 ms and then waits somewhere in `work`.
async fn answered(
    layer: &TaskTrackerLayer,
    work: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Duration {
    let began = Instant::now();
    let service = layer.layer(service_fn(|_: Request<()>| {
        let work = work();
        async move {
            work.await;
            Ok::<_, Infallible>(full("done"))
        }
    }));
    let response = timeout(Duration::from_secs(60), service.oneshot(request())).await;
    drop(response.expect("it does not hang"));
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_several_contexts_waits_for_none_of_them() {
    let layer = TaskTrackerLayer::new();
    for way in 0..4 {
        let handle = layer.handle();
        let took = answered(&layer, move || {
            let handle = handle.clone();
            let idle = async move { handle.wait_idle().await };
            match way {
                0 => Box::pin(async {
                    drop(
                        scope(|_| async {
                            spawn(after(100));
                            scope(|_| idle).await
                        })
                        .await,
                    );
                }),
                1 => Box::pin(async {
                    drop(
                        scope(|_| async {
                            spawn(after(100));
                            untracked(idle).await;
                        })
                        .await,
                    );
                }),
                2 => Box::pin(async {
                    spawn(after(100));
                    drop(scope(|tasks| async move { tasks.track_future(idle).await }).await);
                }),
                // The first task of the outer request comes when the wait has begun.
                _ => Box::pin(async {
                    spawn(after(10));
                    let other = async {
                        after(50).await;
                        spawn(after(50));
                    };
                    tokio::join!(biased; untracked(idle), other);
                }),
            }
        })
        .await;
        assert_eq!(took, ms(100), "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_listed_while_its_wait_goes_on_is_found() {
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    handle.spawn(after(80));
    let took = answered(&layer, move || {
        let handle = handle.clone();
        Box::pin(async move {
            let other = async {
                after(50).await;
                spawn(after(100));
            };
            tokio::join!(biased; untracked(async move { handle.wait_idle().await }), other);
        })
    })
    .await;
    assert_eq!(took, ms(150));
}
