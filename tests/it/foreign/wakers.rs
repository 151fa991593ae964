//! Wakers that call back into the request, and wakers that panic.
//!
//! The code of a test runs in the wake-up of a waker and in the drop of its last reference. Each poll has a waker of
//! its own, so that the crate may hold the last reference. The clone of a waker runs no code of the test, because it is
//! the clone of an `Arc`. Other clones need a waker that is made by hand, which is `unsafe`.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tower::Service;
use tower_task_tracker::{TaskTrackerLayer, Tasks, TrackerHandle, Unfinished, spawn};

use super::scenes::Scene;
use super::stage::{Hostile, planned, play};
use crate::support::{Log, Slot, after, current, ms, put, request, take, tracked};

/// What the wakers of a stage do, beside waking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Act {
    #[default]
    Nothing,
    /// It calls everything that can be read of the request and of its handle.
    Looks,
    /// It moves the deadline.
    Sets,
    /// It makes tokens, and drops them.
    Counts,
    /// It spawns.
    Spawns,
    Panics,
}

/// When they do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum When {
    #[default]
    Woken,
    Dropped,
}

#[derive(Clone, Default)]
pub(super) struct Wakers {
    act: Act,
    when: When,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    woken: Notify,
    acts: AtomicUsize,
    request: Mutex<Option<(TrackerHandle, Slot<Tasks>)>>,
}

impl fmt::Debug for Wakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} when {:?}", self.act, self.when)
    }
}

impl Wakers {
    pub(super) fn new(act: Act, when: When) -> Self {
        Self {
            act,
            when,
            shared: Arc::default(),
        }
    }

    pub(super) fn need_tasks(&self) -> bool {
        !matches!(self.act, Act::Nothing | Act::Panics)
    }

    pub(super) fn arm(&self, handle: TrackerHandle, tasks: Slot<Tasks>) {
        let mut request = self.shared.request.lock().expect("no panic holds it");
        *request = Some((handle, tasks));
    }

    /// From now on they only wake.
    pub(super) fn disarm(&self) {
        *self.shared.request.lock().expect("no panic holds it") = None;
    }

    /// Polls a future until it is ready, each time with another waker. Nothing but these wakes it.
    pub(super) async fn drive<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        loop {
            let polled = {
                let waker = Waker::from(Arc::new(One(self.clone())));
                future.as_mut().poll(&mut Context::from_waker(&waker))
            };
            if let Poll::Ready(output) = polled {
                return output;
            }
            let limit = Duration::from_secs(100 * 60 * 60);
            let woken = timeout(limit, self.shared.woken.notified()).await;
            woken.expect("a wake-up is lost");
        }
    }

    fn may_act(&self, when: When) {
        if self.when != when {
            return;
        }
        let request = self.shared.request.lock().expect("no panic holds it");
        let Some((handle, tasks)) = request.clone() else {
            return;
        };
        drop(request);
        if self.act == Act::Panics {
            // Where the crate calls it in a task. The runtime and its timers do not bear a panic, and a future whose
            // poll has panicked is not to be polled again.
            if tokio::task::try_id().is_some() {
                planned();
            }
            return;
        }
        let tasks = tasks.lock().expect("no panic holds it").clone();
        if let Some(tasks) = tasks {
            let before = self.shared.acts.fetch_add(1, Ordering::SeqCst);
            self.act.run(&handle, &tasks, before);
        }
    }
}

impl Act {
    /// `before`: how often it has acted. What wakes again has to come to an end.
    fn run(self, handle: &TrackerHandle, tasks: &Tasks, before: usize) {
        match self {
            Act::Looks => {
                let _ = (tasks.len(), tasks.is_empty(), tasks.is_released());
                let _ = (tasks.deadline(), tasks.cancellation_token());
                let _ = (handle.live_tasks(), handle.live_requests());
                let _ = handle.snapshot();
                let _ = (format!("{handle:?}"), format!("{tasks:?}"));
            }
            Act::Sets if before < 3 => tasks.set_drain_timeout(ms(50)),
            Act::Counts if before < 3 => {
                let token = tasks.token();
                drop(token.clone());
            }
            Act::Spawns if before < 3 => {
                drop(tasks.named("of a waker").spawn(after(7)));
                let tried = tasks.named("of a waker").try_spawn(after(3));
                drop(tried);
            }
            Act::Nothing | Act::Panics | Act::Sets | Act::Counts | Act::Spawns => {}
        }
    }
}

/// The waker of one poll.
struct One(Wakers);

impl Wake for One {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.shared.woken.notify_one();
        self.0.may_act(When::Woken);
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.may_act(When::Dropped);
    }
}

pub(super) fn is_the_same_where_they_look(scene: &'static Scene) {
    let calm = play(scene, Hostile::default());
    for when in [When::Woken, When::Dropped] {
        let seen = play(scene, hostile(Act::Looks, when));
        assert_eq!(seen, calm, "{when:?}");
    }
}

/// Its reports add up, and nothing is left.
pub(super) fn comes_to_its_end_where_they_spawn(scene: &'static Scene) {
    for act in [Act::Sets, Act::Counts, Act::Spawns] {
        for when in [When::Woken, When::Dropped] {
            play(scene, hostile(act, when));
        }
    }
}

pub(super) fn is_the_same_where_they_panic(scene: &'static Scene) {
    let calm = play(scene, Hostile::default());
    for when in [When::Woken, When::Dropped] {
        let seen = play(scene, hostile(Act::Panics, when));
        assert_eq!(seen, calm, "{when:?}");
    }
}

fn hostile(act: Act, when: When) -> Hostile {
    Hostile {
        wakers: Wakers::new(act, when),
        ..Hostile::default()
    }
}

/// A waker of a user's own, which a token wakes.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        planned();
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_when_tasks_are_cancelled_is_caught() {
    for leaves in [true, false] {
        let log = Log::default();
        let policy = Unfinished::Cancel { grace: ms(100) };
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(1000))
            .at_deadline(policy)
            .at_disconnect(policy)
            .observer(log.clone());
        let kept = Slot::default();
        let keep = kept.clone();
        let mut service = tracked(&layer, move || {
            put(&keep, current().cancellation_token());
            spawn(after(600_000));
        });
        let mut held = Box::pin(service.call(request()));
        assert!(futures_util::poll!(&mut held).is_pending());
        let token = take(&kept);
        let mut stops = Box::pin(token.cancelled());
        let waker = Waker::from(Arc::new(Panics));
        let polled = stops.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        if leaves {
            drop(held);
        } else {
            drop(held.await);
        }
        layer.handle().wait_idle().await;
        assert!(token.is_cancelled());
        let report = log.report();
        assert_eq!((report.aborted, report.cancelled), (1, true), "{report}");
    }
}

/// A shutdown that begins cancels the tokens of the process: what that wakes is not the crate's.
#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_at_a_shutdown_keeps_no_response_held() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("planned"));
        }
    }
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let token = handle.process_tasks().cancellation_token();
    let mut stops = Box::pin(token.cancelled());
    let waker = Waker::from(Arc::new(Panics));
    let polled = stops.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    let mut service = tracked(&layer, || drop(spawn(after(600_000))));
    let mut held = tokio_test::task::spawn(service.call(request()));
    for _ in 0..2 {
        assert!(held.poll().is_pending());
        tokio::task::yield_now().await;
    }
    let began = std::panic::catch_unwind(AssertUnwindSafe(|| {
        handle.begin_shutdown(std::time::Duration::ZERO);
    }));
    assert!(began.is_ok(), "it is caught");
    assert!(held.is_woken());
    assert!(held.poll().is_ready());
}
