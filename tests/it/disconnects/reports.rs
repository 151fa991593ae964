//! When a client leaves, its request is reported once, as dropped.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    Outcome, TaskState, TaskTrackerLayer, Unfinished, named, spawn, spawn_blocking,
};

use super::{dropped, layer};
use crate::support::{Body, Frames, Log, after, ms, observed, request, respond, tracked};

#[tokio::test(start_paused = true)]
async fn at_every_moment_a_drop_is_reported_once() {
    // Whichever part it is in: 0 to 10 the handler, to 40 the held head or the stream, and so on.
    for patience in [0, 5, 15, 25, 35, 45] {
        for streams in [false, true] {
            let log = Log::default();
            let layer = layer(&log, Unfinished::Abort);
            let service = layer.layer(service_fn(move |_: Request<()>| async move {
                named("slow").spawn(after(60_000));
                after(10).await;
                let body = Frames::new(["a", "b"]);
                let whole = Frames::new(["a"]).shows_its_end().always_hints(1);
                Ok::<_, Infallible>(Response::new(if streams { body } else { whole }))
            }));
            let exchange = async {
                let Ok(answer) = service.oneshot(request()).await;
                let mut body = answer.into_body();
                while body.frame().await.is_some() {
                    after(10).await;
                }
            };
            assert!(timeout(ms(patience), exchange).await.is_err());
            layer.handle().wait_idle().await;
            let report = log.reports();
            assert!(report.len() <= 1, "{patience} {streams}: {report:?}");
            if patience > 0 {
                assert_eq!(dropped(&log).aborted, 1, "{patience} {streams}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_is_a_straggler_when_its_client_leaves() {
    let log = Log::default();
    let layer = layer(&log, Unfinished::Abort);
    let (let_go, until) = std::sync::mpsc::channel::<()>();
    let until = std::sync::Arc::new(std::sync::Mutex::new(until));
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut held = Box::pin(
        tracked(&layer, move || {
            let (until, began) = (until.clone(), began.clone());
            spawn_blocking(move || {
                let _ = began.send(());
                let _ = until.lock().expect("no panic holds this lock").recv();
            });
        })
        .oneshot(request()),
    );
    assert!(futures_util::poll!(&mut held).is_pending());
    begun.recv().await;
    drop(held);
    for _ in 0..100 {
        // Paused time does not pass by itself while a blocking closure runs.
        tokio::time::advance(ms(10)).await;
    }
    assert_eq!(dropped(&log).stragglers.len(), 1);
    drop(let_go);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_the_handler_runs_is_reported_as_dropped() {
    let (log, layer) = observed();
    let mut service = layer.layer(service_fn(|_: Request<()>| async {
        struct SpawnsWhenDropped;
        impl Drop for SpawnsWhenDropped {
            fn drop(&mut self) {
                tower_task_tracker::named("last will").spawn(after(5));
            }
        }
        let _guard = SpawnsWhenDropped;
        spawn(after(10));
        pending::<Result<Response<Body>, Infallible>>().await
    }));

    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_pending());
    drop(future);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.spawned, 2, "the destructor's task is counted");
    assert_eq!(report.stragglers.len(), 2);
    assert!(log.late_spawns().is_empty(), "it was not late");
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends().len(), 2, "both ran to their ends");
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_the_head_is_held_is_reported_as_dropped() {
    let (log, layer) = observed();
    let mut service = tracked(&layer, || {
        spawn(after(100));
    });

    {
        let held = service.call(request());
        let left = tokio::time::timeout(ms(30), held).await;
        assert!(left.is_err(), "it is held for longer");
    }
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.held, ms(30));
    assert_eq!(report.stragglers.len(), 1);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_before_its_end_is_reported_as_dropped() {
    let (log, layer) = observed();
    let response = respond(&layer, Method::GET, || {
        spawn(async {});
        Frames::new(["a", "b"]).spawns_at_drop(10)
    })
    .await;
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    tokio::task::yield_now().await;
    drop(body);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!((report.spawned, report.completed), (2, 1));
    assert_eq!(
        report.stragglers[0].name.as_deref(),
        Some("last will"),
        "what its destructor spawned is counted"
    );
}

/// Whose destructor spawns in whatever request it is dropped in.
struct SpawnsAtDrop;

impl bytes::Buf for SpawnsAtDrop {
    fn remaining(&self) -> usize {
        1
    }
    fn chunk(&self) -> &[u8] {
        b"x"
    }
    fn advance(&mut self, _: usize) {}
}

impl Drop for SpawnsAtDrop {
    fn drop(&mut self) {
        named("byte").spawn(after(30));
    }
}

/// One byte, of a length that is known.
struct OneByte(Option<SpawnsAtDrop>);

impl http_body::Body for OneByte {
    type Data = SpawnsAtDrop;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<SpawnsAtDrop>, Infallible>>> {
        Poll::Ready(self.0.take().map(|byte| Ok(Frame::data(byte))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(1)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_withheld_frame_spawns_when_the_client_leaves_is_counted() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(tower_task_tracker::Hold::End)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("slow").spawn(after(100));
        Ok::<_, Infallible>(Response::new(OneByte(Some(SpawnsAtDrop))))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    let withheld = timeout(ms(10), body.frame()).await;
    assert!(withheld.is_err(), "the last frame waits for the task");
    drop(body);
    let report = log.report();
    let names: Vec<_> = report
        .stragglers
        .iter()
        .map(|task| task.name.as_deref())
        .collect();
    assert_eq!(names, [Some("slow"), Some("byte")], "{report}");
}

/// Drops the response within the wake-up.
struct Leaves<F>(Mutex<Option<Pin<Box<F>>>>);

impl<F: Send> Wake for Leaves<F> {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().expect("no panic holds it").take());
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_dropped_by_the_end_of_its_last_task_has_no_straggler() {
    let (log, layer) = observed();
    let mut service = tracked(&layer, || drop(spawn(after(20))));
    let leaves = Arc::new(Leaves(Mutex::new(None)));
    let waker = Waker::from(leaves.clone());
    let mut held = Box::pin(service.call(request()));
    for _ in 0..2 {
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        tokio::task::yield_now().await;
    }
    *leaves.0.lock().expect("no panic holds it") = Some(held);
    after(30).await;
    let report = log.report();
    assert_eq!(
        (report.completed, report.stragglers.len()),
        (1, 0),
        "{report}"
    );
    assert!(log.late_ends().is_empty());
}
