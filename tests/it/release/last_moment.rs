//! Events between the last look of a wait at its tasks and the release. In that moment the library calls a
//! subscriber to learn whether the report is logged, and the call may take long.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Outcome, ResponseBody, TaskTrackerLayer, Unfinished, spawn};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};

use crate::bodies::case::{Case, End, read};
use crate::subscribers::lines::subscribe;
use crate::support::Act::{Data, Trailers};
use crate::support::{Slot, after, current, ms, observed, put, request, take, tracked};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs the hook each time the library checks whether the subscriber reads the report of a request.
struct Asked<F>(F);

impl<F: Fn() + Send + Sync + 'static> Subscriber for Asked<F> {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.target() == "tower_task_tracker" && *metadata.level() == Level::DEBUG {
            (self.0)();
        }
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn layer() -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_that_is_dropped_in_the_last_moment_was_late() {
    let kept = Slot::<(Task, CancellationToken)>::default();
    let hook = {
        let kept = kept.clone();
        move || {
            let mut kept = kept.lock().expect("no panic holds this lock");
            let is_stopping = kept.as_ref().is_some_and(|(_, stop)| stop.is_cancelled());
            let task = if is_stopping { kept.take() } else { None };
            // The drop checks the subscriber again.
            std::mem::drop(kept);
            drop(task);
        }
    };
    let _guard = subscribe(Asked(hook), Level::DEBUG);
    let start = move || {
        let task = current().track_future(pending());
        put(&kept, (Box::pin(task), current().cancellation_token()));
    };
    let response = tracked(&layer(), start).oneshot(request()).await;
    let status = response.expect("infallible").status();
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_with_a_shutdown_in_the_last_moment_was_late() {
    let layer = layer();
    let kept = Slot::<Task>::default();
    let hook = {
        let (kept, handle) = (kept.clone(), layer.handle());
        move || {
            let task = kept.lock().expect("no panic holds this lock").take();
            if task.is_some() {
                let shutdown = pin!(handle.shutdown(ms(0)));
                let _ = shutdown.poll(&mut Context::from_waker(Waker::noop()));
            }
            drop(task);
        }
    };
    let _guard = subscribe(Asked(hook), Level::DEBUG);
    let start = move || put(&kept, Box::pin(current().track_future(pending())) as Task);
    let response = tracked(&layer, start).oneshot(request()).await;
    let status = response.expect("infallible").status();
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
}

/// A body that panics when it is polled, and spawns when it is dropped.
struct Bomb;

impl Body for Bomb {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("boom")
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(4)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        spawn(after(5));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_body_spawns_that_has_panicked_in_the_first_look_is_counted() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_| {
        spawn(after(10));
        async { Ok::<_, Infallible>(Response::new(Bomb)) }
    }));
    let response = AssertUnwindSafe(service.oneshot(request())).catch_unwind();
    assert!(response.await.is_err(), "it panics");
    let report = log.report();
    assert_eq!(
        (report.outcome, report.spawned),
        (Outcome::Dropped, 2),
        "{report}"
    );
}

/// The trailers were taken from the body before the wait, and end the response.
#[tokio::test(start_paused = true)]
async fn trailers_that_were_kept_wait_for_what_is_spawned_before_them() {
    let case = Case {
        version: Version::HTTP_2,
        ..Case::new("trailers", &[Data("0123456789"), Trailers]).hints(10)
    };
    let (log, layer) = observed();
    let (arrived, kept) = (Instant::now(), Slot::default());
    let start = || {
        put(&kept, current());
        spawn(after(10));
    };
    let response = case.respond(&layer, case.body().0, start).await;
    assert_eq!(arrived.elapsed(), ms(10));
    take(&kept).spawn(after(30));
    let (data, end) = read(response.into_body()).await;
    assert_eq!((data.len(), arrived.elapsed()), (10, ms(40)));
    assert!(matches!(end, End::Trailers(_)), "{end:?}");
    assert!(log.late_spawns().is_empty(), "{:?}", log.late_spawns());
}

/// The server has all data, and may drop the body at any time.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_with_its_length_reached_is_an_end_also_while_its_end_mark_waits() {
    let case = Case {
        version: Version::HTTP_2,
        ..Case::new("data", &[Data("0123456789")]).hints(10)
    };
    let (log, layer) = observed();
    let kept = Slot::default();
    let start = || put(&kept, current());
    let response = case.respond(&layer, case.body().0, start).await;
    let mut body = pin!(response.into_body());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        body.as_mut().poll_frame(&mut cx),
        Poll::Ready(Some(Ok(_)))
    ));
    take(&kept).spawn(after(30));
    assert!(
        body.as_mut().poll_frame(&mut cx).is_pending(),
        "the end mark"
    );
    tokio::time::sleep(ms(10)).await;
    body.set(ResponseBody::default());
    assert!(log.reports().is_empty(), "the task is still waited for");
    tokio::time::sleep(ms(30)).await;
    let report = log.report();
    assert_eq!(
        (report.outcome, report.completed),
        (Outcome::Drained, 1),
        "{report}"
    );
}
