//! What is counted, and from when until when.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Outcome, RunToCompletionLayer, TaskState, TaskTrackerLayer, Tasks, named, scope,
    spawn,
};

use crate::support::{
    Frames, Log, Slot, after, current, full, held, ms, put, request, take, timeless_runtime, told,
    tracked,
};

#[tokio::test(start_paused = true)]
async fn the_report_of_a_head_counts_no_running_task_as_completed() {
    let (log, layer) = told();
    let layer = layer.report_extension(true);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("slow").spawn(after(400));
        named("order").required().spawn(async {
            after(20).await;
            Ok::<(), &str>(())
        });
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let so_far = response.extensions().get::<Arc<DrainReport>>().cloned();
    let so_far = so_far.expect("the head was held");
    crate::support::assert_adds_up(&so_far);
    assert_eq!((so_far.spawned, so_far.completed), (2, 1), "{so_far}");
    let alive: Vec<_> = so_far
        .stragglers
        .iter()
        .map(|task| task.name.as_deref())
        .collect();
    assert_eq!(alive, [Some("slow")]);
    assert!(!so_far.is_clean(), "{so_far}");
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_complete_body_leaves_behind_holds_nothing() {
    let (log, layer) = told();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        drop(current().token());
        let body = Frames::new(["a", "b"]).always_hints(2).spawns_at_drop(50);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    for _ in 0..2 {
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    }
    drop(body);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!(report.held, ms(0), "{report}");
    assert_eq!(report.drain, ms(50), "{report}");
}

/// Whose destructor spawns in whatever request it is dropped in.
struct Heir;

impl bytes::Buf for Heir {
    fn remaining(&self) -> usize {
        1
    }
    fn chunk(&self) -> &[u8] {
        b"x"
    }
    fn advance(&mut self, _: usize) {}
}

impl Drop for Heir {
    fn drop(&mut self) {
        named("heir").spawn(after(30));
    }
}

/// One byte, of a length that is known.
struct OneHeir(Option<Heir>);

impl Body for OneHeir {
    type Data = Heir;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Heir>, Infallible>>> {
        Poll::Ready(self.0.take().map(|heir| Ok(Frame::data(heir))))
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
        Ok::<_, Infallible>(Response::new(OneHeir(Some(Heir))))
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
    assert_eq!(names, [Some("slow"), Some("heir")], "{report}");
}

/// It is not at its end, and when it is first asked for that with no task alive it spawns one.
struct SpawnsAtTheLook(AtomicBool, Tasks);

impl Body for SpawnsAtTheLook {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        if self.1.is_empty() && !self.0.swap(true, Ordering::SeqCst) {
            self.1.named("afterthought").spawn(after(40));
        }
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_without_a_body_waits_for_what_the_body_spawns_when_it_is_asked() {
    let (log, layer) = told();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("first").spawn(after(10));
        let body = SpawnsAtTheLook(AtomicBool::new(false), current());
        let mut response = Response::new(body);
        // The server ends the response with its head.
        let zero = http::HeaderValue::from_static("0");
        response.headers_mut().insert(CONTENT_LENGTH, zero);
        Ok::<_, Infallible>(response)
    }));
    let start = Instant::now();
    // In HTTP/1 it would be dropped.
    let mut request = request();
    *request.version_mut() = http::Version::HTTP_2;
    let Ok(answer) = service.oneshot(request).await;
    let answered = start.elapsed();
    drop(answer);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.completed, report.outcome), (2, Outcome::Drained));
    assert_eq!(answered, ms(10 + 40), "the head is the end");
}

#[tokio::test]
async fn a_closure_that_is_spawned_while_the_response_waits_has_an_age() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(200))
        .observer(log.clone());
    let ended = std::sync::Mutex::new(Some(ended));
    let ended = Arc::new(ended);
    held(&layer, move || {
        let ended = ended.lock().expect("nobody panics").take();
        spawn(async move {
            after(20).await;
            named("late closure").spawn_blocking(move || ended.map(|ended| ended.recv()));
        });
    })
    .await;
    let report = log.report();
    let straggler = report.stragglers.first().expect("it does not end");
    assert_eq!(straggler.name.as_deref(), Some("late closure"), "{report}");
    assert!(straggler.age >= ms(100), "{report}");
    drop(end);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_task_has_an_age_at_its_end() {
    let (log, layer) = told();
    let slot = Slot::default();
    let kept = slot.clone();
    held(&layer, move || put(&kept, current())).await;
    let token = take(&slot).token();
    after(70).await;
    drop(token);
    let ages: Vec<_> = log.late_ends().iter().map(|task| task.age).collect();
    assert_eq!(ages, [ms(70)]);
}

#[test]
fn a_tracker_is_waited_for_again_after_its_runtime_is_gone() {
    let runtime = || {
        let runtime = Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime")
    };
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let first = runtime();
    first.block_on(async {
        let service = tracked(&layer.clone().drain_timeout(ms(1)), move || {
            let tasks = current();
            let token = tasks.tracker().token();
            put(&keep, (token, tasks));
        });
        drop(service.oneshot(request()).await);
        tokio::task::yield_now().await;
    });
    drop(first);
    let (token, _kept) = take(&kept);
    let second = runtime();
    let handle = layer.handle();
    assert_eq!(handle.live_requests(), 1);
    second.block_on(async {
        let idle = tokio::spawn(async move { handle.wait_idle().await });
        tokio::task::yield_now().await;
        drop(token);
        let idle = timeout(ms(10_000), idle).await;
        assert!(idle.is_ok(), "it is never idle");
    });
}

#[tokio::test(start_paused = true)]
async fn a_look_from_outside_does_not_make_a_report() {
    let (log, layer) = told();
    let handle = layer.handle();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let handle = handle.clone();
        async move {
            let tasks = current();
            tasks.tracker().spawn(after(5));
            tasks.tracker().spawn(after(5));
            assert_eq!(handle.snapshot().len(), 2);
            after(10).await;
            Ok::<_, Infallible>(full("done"))
        }
    }));
    drop(service.oneshot(request()).await);
    let counted: Vec<usize> = log.reports().iter().map(|report| report.spawned).collect();
    assert_eq!(
        counted, [0usize; 0],
        "nothing was alive while the response waited"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_is_never_run_takes_a_handler_with_it() {
    let ((), report) = scope(|_| async {
        let mut handler = RunToCompletionLayer::new()
            .layer(service_fn(|(): ()| pending::<Result<(), Infallible>>()));
        let future = handler.call(());
        let runtime = timeless_runtime();
        let on = runtime.handle().clone();
        runtime.shutdown_background();
        let closure = current().spawn_blocking_on(move || drop(future), &on);
        assert!(closure.await.is_err(), "it was not run");
    })
    .await;
    let ends: Vec<_> = report.failures.iter().map(|task| task.state).collect();
    assert_eq!((report.spawned, &*ends), (1, &[TaskState::Aborted][..]));
}
