//! A required task that ends or fails in the moment of the release.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, Tasks, Unfinished, named};

use crate::support::{Log, current, ms, observed, request, slow_with, tracked};

/// A body that drops a required task at the n-th call of `is_end_stream`:
/// it stands in for another thread, between the look at the failures and the release.
struct Meddles(Cell<usize>, usize);

impl Body for Meddles {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.set(self.0.get() + 1);
        if self.0.get() == self.1 {
            if let Some(tasks) = TASKS.with(Cell::take) {
                let order = tasks.named("order").required();
                drop(order.track_future(pending::<Result<(), &str>>()));
            }
        }
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

thread_local! {
    static TASKS: Cell<Option<Tasks>> = const { Cell::new(None) };
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_fails_between_the_look_and_the_release_is_no_success() {
    let mut meddled = 0;
    for when in 1..5 {
        let (log, layer) = observed();
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            // Something was spawned: the answer is looked at closely.
            drop(current().token());
            TASKS.with(|tasks| tasks.set(Tasks::current()));
            Ok::<_, Infallible>(Response::new(Meddles(Cell::new(0), when)))
        }));
        let Ok(answer) = service.oneshot(request()).await;
        let failed = log
            .reports()
            .first()
            .is_some_and(|report| report.required_failed);
        let has_meddled = TASKS.with(Cell::take).is_none();
        meddled += usize::from(has_meddled);
        let is_500 = answer.status() == StatusCode::INTERNAL_SERVER_ERROR;
        assert_eq!(
            (failed, is_500),
            (has_meddled, has_meddled),
            "asked {when} times: in the report, and in the response: {:?}",
            log.reports()
        );
    }
    assert!(
        meddled >= 2,
        "before the look, and between it and the release: {meddled}"
    );
}

/// A required task that is done, and counted out, is taken for an unfinished one as long as tokio has
/// not marked it.
#[test]
fn a_required_task_that_was_done_before_the_release_does_not_fail_the_response() {
    thread_local! {
        static BLOCKS: Cell<bool> = const { Cell::new(false) };
    }
    /// Says that it was woken, and on the thread of the required task takes its time.
    struct Slow {
        woken: mpsc::Sender<()>,
        go_on: Mutex<mpsc::Receiver<()>>,
    }
    impl Wake for Slow {
        fn wake(self: Arc<Self>) {
            let _ = self.woken.send(());
            if BLOCKS.with(Cell::get) {
                let go_on = self.go_on.lock().expect("unpoisoned");
                let _ = go_on.recv_timeout(Duration::from_secs(10));
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(500))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone())
        .report_extension(true);
    let service = tracked(&layer, || {
        let (aborted, is_aborted) = mpsc::channel::<()>();
        slow_with(move || {
            // So that it is no race against the clock.
            current().set_drain_timeout(Duration::from_secs(60));
            let _ = aborted.send(());
        });
        named("order").required().spawn_blocking(move || {
            let _ = is_aborted.recv();
            // The aborted one has to be gone before.
            while current().len() > 1 {
                std::thread::yield_now();
            }
            BLOCKS.with(|blocks| blocks.set(true));
            Ok::<(), &str>(())
        });
    });
    let (woken, is_woken) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    let waker = Waker::from(Arc::new(Slow {
        woken,
        go_on: Mutex::new(wait),
    }));
    let mut answer = Box::pin(service.oneshot(request()));
    let answer = loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(answer)) => break answer,
            Poll::Pending => is_woken
                .recv_timeout(Duration::from_secs(10))
                .expect("it is woken"),
        }
    };
    let _ = go_on.send(());
    let report = answer
        .extensions()
        .get::<Arc<DrainReport>>()
        .expect("held")
        .clone();
    assert_eq!((report.aborted, report.failed, report.panicked), (1, 0, 0));
    assert!(report.stragglers.is_empty(), "{report}");
    assert!(!report.required_failed, "{report}");
    assert_eq!(answer.status(), StatusCode::OK);
}
