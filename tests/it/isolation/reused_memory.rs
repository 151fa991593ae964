//! The memory of a request is used again.

use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, DrainSettings, TaskSpans, TaskTrackerLayer, spawn};
use tracing::{Instrument, info_span};

use crate::subscribers::closed::Closed;
use crate::support::{Log, after, current, full, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_request_that_is_kept_for_longer_leaves_nothing_to_the_next_one() {
    let (log, layer) = observed();
    let mut service = layer.layer(service_fn(|request: Request<()>| async move {
        if request.uri().path() == "/first" {
            return Err(current());
        }
        spawn(after(50));
        Ok(full("done"))
    }));
    let mut first = request();
    *first.uri_mut() = "/first".parse().expect("a path");
    let mut first = Box::pin(service.call(first));
    // The error has its tasks, and the future has what owns them.
    let error = first.as_mut().await.expect_err("it is one");
    drop(error);
    drop(first);
    let start = Instant::now();
    let second = service.call(request()).await.expect("it is none");
    assert_eq!(start.elapsed(), ms(50), "it was released before it began");
    drop(second.into_body().collect().await);
    assert_eq!(log.report().completed, 1);
    assert_eq!(log.late_spawns(), []);
}

#[tokio::test(start_paused = true)]
async fn a_thread_keeps_nothing_of_the_users_when_the_service_is_gone() {
    let channel = Arc::new(());
    let (observed, awaited) = (channel.clone(), channel.clone());
    for layer in [
        TaskTrackerLayer::new().on_drain(move |_: &DrainReport| drop(observed.clone())),
        TaskTrackerLayer::new().before_release(move |_| {
            drop(awaited.clone());
            std::future::ready(())
        }),
    ] {
        let idle = tracked(&layer, || {});
        drop(idle.oneshot(request()).await);
        let busy = tracked(&layer, || drop(spawn(after(10))));
        drop(busy.oneshot(request()).await);
    }
    assert_eq!(Arc::strong_count(&channel), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_of_several_layers_in_turns_keep_their_own_settings() {
    let (log, other_log) = (Log::default(), Log::default());
    let layer = TaskTrackerLayer::new;
    let slow: fn() = || drop(spawn(after(50)));
    let unheard = tracked(&layer().drain_timeout(ms(20)), slow);
    let heard = tracked(&layer().drain_timeout(ms(30)).observer(log.clone()), slow);
    let idle = tracked(&layer().observer(other_log.clone()), (|| {}) as fn());
    // What this one leaves behind is what the next one is served with.
    let plain = tracked(&layer(), (|| {}) as fn());
    let in_turns = [(&unheard, 20), (&heard, 30), (&idle, 0)].repeat(2);
    for (turn, (service, waits)) in in_turns.into_iter().enumerate() {
        drop(plain.clone().oneshot(request()).await);
        let start = Instant::now();
        drop(service.clone().oneshot(request()).await);
        assert_eq!(start.elapsed(), ms(waits), "turn {turn}");
    }
    assert_eq!(log.reports().len(), 2);
    assert_eq!(other_log.reports().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_memory_of_one_with_other_spans_has_those_of_its_layer() {
    let closed = Closed::default();
    let _watching = closed.watch();
    let nested = tracked(
        &TaskTrackerLayer::new().settings(DrainSettings::new().task_spans(TaskSpans::Inherit)),
        || {
            drop(spawn(after(1)));
        },
    );
    let service = TaskTrackerLayer::new().layer(service_fn(move |request: Request<()>| {
        let nested = nested.clone();
        async move {
            if request.uri().path() == "/nested" {
                drop(nested.oneshot(request).await);
            } else {
                spawn(after(1));
            }
            Ok::<_, std::convert::Infallible>(full("done"))
        }
    }));
    for (path, tasks) in [("/nested", 0), ("/plain", 1)] {
        let mut request = request();
        *request.uri_mut() = path.parse().expect("a path");
        let answer = service.clone().oneshot(request);
        drop(answer.instrument(info_span!("request")).await);
        assert_eq!(closed.count("task"), tasks, "{path}");
    }
}
