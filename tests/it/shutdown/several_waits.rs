//! Several waits for a shutdown at a time.

use std::convert::Infallible;

use http::Request;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, named, scope, spawn, untracked};

use super::WaitLog;
use super::waits_in_handlers::answered;
use crate::support::{Slot, after, current, full, ms, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn several_waits_do_not_wait_for_each_other() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), WaitLog::new());
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
async fn what_runs_in_a_tracker_is_waited_for_also_in_the_request_of_the_wait() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), WaitLog::new());
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
async fn a_wait_from_outside_waits_for_the_tasks_that_wait_and_for_what_they_do_then() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), WaitLog::new());
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
