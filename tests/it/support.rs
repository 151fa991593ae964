//! What the tests share.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, OnDrain, TaskInfo, TaskTrackerLayer, TaskTrackerService, Tasks,
};

/// What an observer was told.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Drained(DrainReport),
    LateSpawn(TaskInfo),
    DetachedEnd(TaskInfo),
}

/// An observer that remembers everything, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Told>>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Told> {
        self.0.lock().expect("no panic holds this lock").clone()
    }

    pub(crate) fn reports(&self) -> Vec<DrainReport> {
        let pick = |told| match told {
            Told::Drained(report) => Some(report),
            _ => None,
        };
        self.all().into_iter().filter_map(pick).collect()
    }

    pub(crate) fn late_spawns(&self) -> Vec<TaskInfo> {
        let pick = |told| match told {
            Told::LateSpawn(task) => Some(task),
            _ => None,
        };
        self.all().into_iter().filter_map(pick).collect()
    }

    pub(crate) fn detached_ends(&self) -> Vec<TaskInfo> {
        let pick = |told| match told {
            Told::DetachedEnd(task) => Some(task),
            _ => None,
        };
        self.all().into_iter().filter_map(pick).collect()
    }

    /// The one report there is.
    #[track_caller]
    pub(crate) fn report(&self) -> DrainReport {
        let mut reports = self.reports();
        assert_eq!(reports.len(), 1, "exactly one report: {reports:?}");
        let report = reports.remove(0);
        assert_adds_up(&report);
        report
    }

    fn push(&self, told: Told) {
        self.0.lock().expect("no panic holds this lock").push(told);
    }
}

impl OnDrain for Log {
    fn on_drain(&self, report: &DrainReport) {
        self.push(Told::Drained(report.clone()));
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        self.push(Told::LateSpawn(task.clone()));
    }

    fn on_detached_end(&self, task: &TaskInfo) {
        self.push(Told::DetachedEnd(task.clone()));
    }
}

/// Every task is counted once.
#[track_caller]
pub(crate) fn assert_adds_up(report: &DrainReport) {
    let counted = report.completed
        + report.failed
        + report.panicked
        + report.aborted
        + report.stragglers.len();
    assert_eq!(counted, report.spawned, "the counts add up: {report:?}");
    assert_eq!(
        report.troubled.len(),
        report.failed + report.panicked + report.aborted,
        "each troubled task is told of: {report:?}"
    );
}

pub(crate) type Body = Full<Bytes>;

pub(crate) fn request() -> Request<()> {
    Request::new(())
}

/// A response whose whole body is there.
pub(crate) fn full(body: &'static str) -> Response<Body> {
    Response::new(Full::from(body))
}

/// A handler that runs `start` and then answers with a whole body.
pub(crate) fn tracked<F>(
    layer: &TaskTrackerLayer,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<F>,
    > + Clone
    + use<F>,
>
where
    F: Fn() + Clone + Send + 'static,
{
    slow(layer, Duration::ZERO, start)
}

/// A handler that takes so long, runs `start` and then answers with a whole body.
pub(crate) fn slow<F>(
    layer: &TaskTrackerLayer,
    handling: Duration,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<F>,
    > + Clone
    + use<F>,
>
where
    F: Fn() + Clone + Send + 'static,
{
    layer.layer(service_fn(move |_: Request<()>| {
        let start = start.clone();
        async move {
            // A sleep of zero is no turn of the scheduler, but may be one tick of the timer.
            if !handling.is_zero() {
                tokio::time::sleep(handling).await;
            }
            start();
            Ok(full("done"))
        }
    }))
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits in virtual time.
pub(crate) async fn after(millis: u64) {
    tokio::time::sleep(ms(millis)).await;
}

/// A body that gives its frames one by one, and panics when it is polled after its end.
pub(crate) struct Frames {
    frames: VecDeque<Bytes>,
    knows_its_end: bool,
    hint: Option<u64>,
    spawns_at_drop: Option<u64>,
    ended: bool,
}

impl Frames {
    pub(crate) fn new<const N: usize>(frames: [&'static str; N]) -> Self {
        Self {
            frames: frames.into_iter().map(Bytes::from).collect(),
            knows_its_end: false,
            hint: None,
            spawns_at_drop: None,
            ended: false,
        }
    }

    /// With its last frame it says that it is at its end.
    pub(crate) fn knows_its_end(mut self) -> Self {
        self.knows_its_end = true;
        self
    }

    /// It says this exact length, whatever was read of it.
    pub(crate) fn always_hints(mut self, length: u64) -> Self {
        self.hint = Some(length);
        self
    }

    /// When it is dropped it spawns a task that takes so many milliseconds.
    pub(crate) fn spawns_at_drop(mut self, millis: u64) -> Self {
        self.spawns_at_drop = Some(millis);
        self
    }

    pub(crate) fn left(&self) -> usize {
        self.frames.len()
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(!self.ended, "polled after its end");
        let data = self.frames.pop_front();
        self.ended = data.is_none();
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(millis) = self.spawns_at_drop {
            tower_task_tracker::named("last will").spawn(after(millis));
        }
    }
}

/// The moment at which something was dropped, counted from when this was made.
#[derive(Debug, Clone)]
pub(crate) struct DropTime {
    made: Instant,
    dropped: Arc<Mutex<Option<Duration>>>,
}

impl DropTime {
    pub(crate) fn new() -> Self {
        Self {
            made: Instant::now(),
            dropped: Arc::default(),
        }
    }

    /// Whatever holds this is watched.
    pub(crate) fn watch(&self) -> impl Drop + Send + use<> {
        struct Watch(DropTime);
        impl Drop for Watch {
            fn drop(&mut self) {
                let dropped = self.0.made.elapsed();
                *self.0.dropped.lock().expect("no panic holds this lock") = Some(dropped);
            }
        }
        Watch(self.clone())
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        *self.dropped.lock().expect("no panic holds this lock")
    }
}

/// Does something when it is dropped.
pub(crate) struct LastWords<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> LastWords<F> {
    pub(crate) fn new(say: F) -> Self {
        Self(Some(say))
    }
}

impl<F: FnOnce()> Drop for LastWords<F> {
    fn drop(&mut self) {
        if let Some(say) = self.0.take() {
            say();
        }
    }
}

/// A place to hand something out of a handler.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

pub(crate) fn put<T>(slot: &Slot<T>, value: T) {
    *slot.lock().expect("no panic holds this lock") = Some(value);
}

#[track_caller]
pub(crate) fn take<T>(slot: &Slot<T>) -> T {
    let value = slot.lock().expect("no panic holds this lock").take();
    value.expect("it was put there")
}

#[track_caller]
pub(crate) fn current() -> Tasks {
    Tasks::current().expect("in a request")
}

/// For how long a request is held that runs `start`.
pub(crate) async fn held(
    layer: &TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
) -> Duration {
    let arrived = Instant::now();
    drop(tracked(layer, start).oneshot(request()).await);
    arrived.elapsed()
}

/// Spawns a task that would run for ten minutes, and does something in its destructor.
pub(crate) fn slow_with(last_words: impl FnOnce() + Send + 'static) {
    tower_task_tracker::named("slow").spawn(async move {
        let _last_words = LastWords::new(last_words);
        after(600_000).await;
    });
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    /// How often it was woken since this was asked last.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
