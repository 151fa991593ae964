//! What a layer, a nested layer and a request may say, and how it merges.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "http")]
use http::StatusCode;

use crate::report::{DrainReport, OnDrain};
use crate::{panics, trace};

/// Below 29 s, the shortest common limit of a front end (an API gateway's).
pub(crate) const DEFAULT_DRAIN_TIMEOUT: Option<Duration> = Some(Duration::from_secs(25));

/// What is held back of a response until the tasks of its request are done.
///
/// Two things hold in every mode but [`Never`](Hold::Never). A response that has no body (status 204 or 304, the answer to
/// `HEAD`, a length of zero) has its head held, because the server sends the end with it. And the
/// end of a body is held for the tasks that it spawns while it streams.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Hold {
    /// The head, if the whole body is already there, so that nothing is sent before the tasks are
    /// done, or if a [`required`](crate::TaskBuilder::required) task is alive, so that the status
    /// can still say that it has failed. Otherwise the end: the body streams through.
    #[default]
    Auto,
    /// The head, always. A task that feeds the response body then waits for a reader that
    /// is not there yet: it ends at the deadline.
    Head,
    /// The end, wherever there is a body: the head and the data are sent at once.
    End,
    /// Nothing. The tasks are tracked and reported, but the response does not wait for them.
    Never,
}

/// What becomes of tasks that are still alive when the drain window closes, or when the client is
/// gone.
///
/// What can be aborted is what was spawned through this crate. A blocking closure that has begun, a
/// [`TaskToken`](crate::TaskToken), a [`TrackedFuture`](crate::TrackedFuture) and what runs in
/// [`Tasks::tracker`](crate::Tasks::tracker) cannot: they run on, are reported as stragglers, and
/// stay with the handle. [`Tasks::cancellation_token`](crate::Tasks::cancellation_token) reaches
/// them all the same, if they watch it.
///
/// A deadline that the client chose never kills work: there, everything is detached, and runs on
/// past the deadline that it would have had otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unfinished {
    /// They run on: reported as stragglers, and counted by the handle until they end.
    #[default]
    Detach,
    /// They are asked to stop, and then made to: the request's
    /// [`cancellation_token`](crate::Tasks::cancellation_token) is cancelled so long before the
    /// deadline, or as soon as the client is gone; what is left when the time is up is aborted, as
    /// [`Abort`](Unfinished::Abort) does. If all stop by themselves, the request has drained;
    /// [`DrainReport::cancelled`](crate::DrainReport::cancelled) tells that they were asked to.
    Cancel {
        /// From the cancellation to the deadline, on tokio's clock. Its end, at most 100 ms, a tenth
        /// of the window or half of the grace, is for the destructors of what is aborted. A grace
        /// that is longer than the window begins with the window; with zero nobody has time to stop
        /// by himself.
        grace: Duration,
    },
    /// They are aborted so shortly before the deadline that their destructors end in time: 100 ms,
    /// or a tenth of the window if that is shorter. The token is cancelled in the same moment, and the
    /// window closes when the tasks are gone. When the client is gone, they are aborted at once.
    Abort,
}

/// Awaited before a response is released.
pub(crate) type Hook =
    dyn Fn(Arc<DrainReport>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// What was said explicitly; `None` says nothing, so that who stands further out decides.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    #[cfg(feature = "http")]
    pub(crate) answer: AnswerSettings,
    pub(crate) window: WindowSettings,
    pub(crate) task_spans: Option<bool>,
    pub(crate) hooks: Vec<Arc<Hook>>,
    pub(crate) observers: Vec<Arc<dyn OnDrain>>,
}

/// What becomes of the response.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AnswerSettings {
    pub(crate) hold: Option<Hold>,
    pub(crate) deadline_status: Option<StatusCode>,
    pub(crate) failure_status: Option<StatusCode>,
    pub(crate) server_timing: Option<bool>,
}

/// How long the wait may be, and what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WindowSettings {
    pub(crate) drain_timeout: Option<Option<Duration>>,
    pub(crate) total_timeout: Option<Option<Duration>>,
    pub(crate) at_deadline: Option<Unfinished>,
    pub(crate) at_disconnect: Option<Unfinished>,
}

impl Settings {
    /// Whether tasks run in spans of their own.
    pub(crate) fn has_task_spans(&self) -> bool {
        self.task_spans.unwrap_or(true)
    }

    /// Lets `inner` win wherever it says something. Its callbacks are added, but for those that are
    /// here or `known` already: a route's layer is often made from the router's.
    pub(crate) fn overlay(&mut self, inner: &Settings, known: &Settings) {
        let Settings {
            #[cfg(feature = "http")]
            answer,
            window,
            task_spans,
            hooks,
            observers,
        } = inner;
        #[cfg(feature = "http")]
        {
            self.answer = answer.over(self.answer);
        }
        self.window = window.over(self.window);
        self.task_spans = task_spans.or(self.task_spans);
        add_new(&mut self.hooks, hooks, &known.hooks);
        add_new(&mut self.observers, observers, &known.observers);
    }

    pub(crate) fn push_hook<F, Fut>(&mut self, hook: F)
    where
        F: Fn(Arc<DrainReport>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let hook: Arc<Hook> = Arc::new(move |report| Box::pin(hook(report)));
        self.hooks.push(hook);
    }

    /// Whether nothing was said.
    pub(crate) fn is_silent(&self) -> bool {
        let Settings {
            #[cfg(feature = "http")]
            answer,
            window,
            task_spans,
            hooks,
            observers,
        } = self;
        #[cfg(feature = "http")]
        if *answer != AnswerSettings::default() {
            return false;
        }
        *window == WindowSettings::default()
            && task_spans.is_none()
            && hooks.is_empty()
            && observers.is_empty()
    }

    /// Calls every observer. One that panics is logged, and the next one is called.
    pub(crate) fn notify(&self, call: impl Fn(&dyn OnDrain)) {
        for observer in &self.observers {
            if let Err(message) = panics::caught(|| call(&**observer)) {
                trace::callback_panicked(message.as_deref());
            }
        }
    }
}

#[cfg(feature = "http")]
impl AnswerSettings {
    /// Wins over `outer` wherever it says something.
    pub(crate) fn over(self, outer: Self) -> Self {
        let Self {
            hold,
            deadline_status,
            failure_status,
            server_timing,
        } = self;
        Self {
            hold: hold.or(outer.hold),
            deadline_status: deadline_status.or(outer.deadline_status),
            failure_status: failure_status.or(outer.failure_status),
            server_timing: server_timing.or(outer.server_timing),
        }
    }
}

impl WindowSettings {
    /// Wins over `outer` wherever it says something.
    pub(crate) fn over(self, outer: Self) -> Self {
        let Self {
            drain_timeout,
            total_timeout,
            at_deadline,
            at_disconnect,
        } = self;
        Self {
            drain_timeout: drain_timeout.or(outer.drain_timeout),
            total_timeout: total_timeout.or(outer.total_timeout),
            at_deadline: at_deadline.or(outer.at_deadline),
            at_disconnect: at_disconnect.or(outer.at_disconnect),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = f.debug_struct("Settings");
        #[cfg(feature = "http")]
        settings.field("answer", &self.answer);
        settings
            .field("window", &self.window)
            .field("task_spans", &self.task_spans)
            .field("hooks", &self.hooks.len())
            .field("observers", &self.observers.len())
            .finish()
    }
}

fn add_new<T: ?Sized>(list: &mut Vec<Arc<T>>, more: &[Arc<T>], known: &[Arc<T>]) {
    for item in more {
        let is_this = |other: &Arc<T>| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(item));
        if !known.iter().chain(&*list).any(is_this) {
            list.push(item.clone());
        }
    }
}
