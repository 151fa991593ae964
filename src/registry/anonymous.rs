//! The tokio-util `TaskTracker` of a request: its tasks are counted and waited for, but have no
//! names, places or ends that we could see.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::report::{TaskInfo, TaskState};

#[derive(Debug)]
pub(crate) struct Anonymous {
    tracker: TaskTracker,
    /// Where the tracker was asked for first, and when: all that can be said of its tasks.
    location: &'static Location<'static>,
    since: Instant,
    /// The most tasks that were seen alive at a time while somebody waited. A count for the report, which
    /// orders nothing: Relaxed.
    seen: AtomicUsize,
    /// Somebody waits for it to be empty, on behalf of the handle.
    is_awaited: Arc<AtomicBool>,
}

/// A wait for the tracker, kept from one poll to the next.
pub(crate) type Wait = Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>;

impl Anonymous {
    pub(crate) fn new(location: &'static Location<'static>) -> Self {
        Self {
            tracker: TaskTracker::new(),
            location,
            since: Instant::now(),
            seen: AtomicUsize::new(0),
            is_awaited: Arc::default(),
        }
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    /// Whether a task is alive, which is then one that was seen.
    pub(crate) fn look(&self) -> bool {
        // A tracker that is open is never done. Closing refuses nothing.
        self.tracker.close();
        let alive = self.tracker.len();
        self.seen.fetch_max(alive, Ordering::Relaxed);
        alive > 0
    }

    /// Ready when the tracker is empty.
    pub(crate) fn poll_empty(&self, wait: &mut Wait, cx: &mut Context<'_>) -> Poll<()> {
        while self.look() {
            let tracker = &self.tracker;
            let waiting = wait.get_or_insert_with(|| {
                let tracker = tracker.clone();
                Box::pin(async move { tracker.wait().await })
            });
            ready!(waiting.as_mut().poll(cx));
            // It ended because the tracker was empty once; a task may have come since.
            *wait = None;
        }
        Poll::Ready(())
    }

    /// Calls `f` when the tracker is empty, if there is a runtime to wait in and nobody waits so
    /// already.
    pub(crate) fn when_empty(&self, f: impl FnOnce() + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        // Acquire, of `Awaited`'s Release: whoever waits now has seen all that the last one did.
        if self.is_awaited.swap(true, Ordering::AcqRel) {
            return;
        }
        let (tracker, awaited) = (self.tracker.clone(), Awaited(self.is_awaited.clone()));
        runtime.spawn(async move {
            // A wait may end with a task alive that came at the last moment.
            while !tracker.is_empty() {
                tracker.close();
                tracker.wait().await;
            }
            // Before: a task that comes from now on has somebody wait for it anew.
            drop(awaited);
            f();
        });
    }

    /// What can be said of any of its tasks.
    pub(crate) fn info(&self, state: TaskState, now: Instant) -> TaskInfo {
        TaskInfo {
            name: None,
            location: self.location,
            age: now.duration_since(self.since),
            required: false,
            state,
            message: None,
        }
    }

    /// Those that are alive.
    pub(crate) fn alive(&self, now: Instant) -> impl Iterator<Item = TaskInfo> {
        std::iter::repeat_n(self.info(TaskState::Running, now), self.tracker.len())
    }

    /// Those that are alive, which are then ones that were seen.
    pub(crate) fn stragglers(&self, now: Instant) -> Vec<TaskInfo> {
        let alive: Vec<_> = self.alive(now).collect();
        self.seen.fetch_max(alive.len(), Ordering::Relaxed);
        alive
    }
}

/// Somebody waits, until this is dropped: by a runtime that shuts down, at the latest.
struct Awaited(Arc<AtomicBool>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
