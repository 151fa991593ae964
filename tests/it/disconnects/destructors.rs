//! What destructors spawn when the client has left.

use std::convert::Infallible;

use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{TaskState, Unfinished, named};

use super::{dropped, layer, left_after};
use crate::support::{Frames, LastWords, Log, after, current, ms, observed, request, tracked};
use crate::unfinished::destructors::spawn_at_drop;

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_is_counted_and_falls_under_the_policy() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Abort);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a"]).spawns_at_drop(500)))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    drop(answer);
    let left = Instant::now();
    layer.handle().wait_idle().await;
    assert_eq!(left.elapsed(), ms(0));
    assert_eq!(dropped(&log).aborted, 1);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_has_100_ms() {
    for (takes, completed) in [(99, 1), (101, 0)] {
        let log = Log::default();
        let layer = layer(&log, Unfinished::Abort);
        left_after(&layer, 20, move || {
            named("slow").spawn(async move {
                let _last_words = LastWords::new(move || {
                    named("last words").spawn(after(takes));
                });
                after(60_000).await;
            });
        })
        .await;
        layer.handle().wait_idle().await;
        let report = dropped(&log);
        assert_eq!((report.spawned, report.aborted), (2, 1), "{report}");
        assert_eq!(report.completed, completed, "{report}");
        assert_eq!(report.stragglers.len(), 1 - completed, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_when_the_client_has_left_is_reported_and_then_aborted() {
    let (log, layer) = observed();
    let mut service = tracked(&layer.at_disconnect(Unfinished::Abort), || {
        spawn_at_drop(current());
    });
    let left = tokio::time::timeout(ms(10), service.call(request())).await;
    assert!(left.is_err(), "it is held");
    let begin = tokio::time::Instant::now();
    after(200).await;
    let report = log.report();
    assert_eq!(
        (report.aborted, report.stragglers.len()),
        (1, 1),
        "{report}"
    );
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1, "after {:?}", begin.elapsed());
    assert_eq!(ends[0].state, TaskState::Aborted, "{}", ends[0]);
}
