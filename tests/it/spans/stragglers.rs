//! A straggler under `TaskSpans::Child` keeps the request's span open; a linked or detached task does not.

use http_body_util::BodyExt;
use tower_task_tracker::{DrainSettings, TaskSpans, TaskTrackerLayer, named};

use super::serve;
use crate::subscribers::closed::Closed;
use crate::support::{after, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_straggler_in_a_span_under_the_requests_keeps_that_open() {
    let closed = Closed::default();
    let _watching = closed.watch();
    let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
    let service = tracked(&layer, || drop(named("slow").spawn(after(50))));
    let answer = serve(service, request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    assert_eq!(
        closed.count("request"),
        0,
        "a parent closes after its children"
    );
    layer.handle().wait_idle().await;
    assert_eq!(closed.all(), ["task", "request"]);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_keeps_it_open_unless_its_span_is_linked() {
    for (spans, closed_at_release) in [
        (TaskSpans::Child, 0),
        (TaskSpans::Linked, 1),
        (TaskSpans::Inherit, 0),
    ] {
        let closed = Closed::default();
        let _watching = closed.watch();
        let settings = DrainSettings::new().drain_timeout(ms(10)).task_spans(spans);
        let layer = TaskTrackerLayer::new().settings(settings);
        let service = tracked(&layer, || drop(named("slow").spawn(after(50))));
        let answer = serve(service, request()).await.expect("infallible");
        drop(answer.into_body().collect().await);
        assert_eq!(closed.count("request"), closed_at_release, "{spans:?}");
        layer.handle().wait_idle().await;
        assert_eq!(closed.count("request"), 1, "{spans:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_does_not_keep_it_open_whatever_the_spans_of_tasks_are() {
    for spans in [TaskSpans::Child, TaskSpans::Linked, TaskSpans::Inherit] {
        let closed = Closed::default();
        let _watching = closed.watch();
        let layer = TaskTrackerLayer::new().settings(DrainSettings::new().task_spans(spans));
        let service = tracked(&layer, || drop(named("cache").detached().spawn(after(50))));
        let answer = serve(service, request()).await.expect("infallible");
        drop(answer.into_body().collect().await);
        assert_eq!(closed.count("request"), 1, "{spans:?}");
        layer.handle().wait_idle().await;
        assert_eq!(closed.count("request"), 1);
    }
}
