//! What a layer, a nested layer and a request may say, and how it merges.

#[cfg(feature = "http")]
mod hold;
mod unfinished;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "http")]
use http::StatusCode;

use crate::report::{DrainObserver, DrainReport, OnDrain};
use crate::{panics, trace};

#[cfg(feature = "http")]
pub use self::hold::Hold;
pub use self::unfinished::Unfinished;

/// Below 29 s, the shortest common limit of a front end (an API gateway's).
pub(crate) const DEFAULT_DRAIN_TIMEOUT: Option<Duration> = Some(Duration::from_secs(25));

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
    pub(crate) observers: Vec<Arc<dyn DrainObserver>>,
}

/// What becomes of the response.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AnswerSettings {
    pub(crate) hold: Option<Hold>,
    pub(crate) deadline_status: Option<StatusCode>,
    pub(crate) failure_status: Option<StatusCode>,
    pub(crate) server_timing: Option<bool>,
    pub(crate) report_extension: Option<bool>,
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

    pub(crate) fn push_observer(&mut self, observer: impl DrainObserver) {
        self.observers.push(Arc::new(observer));
    }

    pub(crate) fn push_on_drain(&mut self, f: impl Fn(&DrainReport) + Send + Sync + 'static) {
        self.push_observer(OnDrain(f));
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
            report_extension,
        } = self;
        Self {
            hold: hold.or(outer.hold),
            deadline_status: deadline_status.or(outer.deadline_status),
            failure_status: failure_status.or(outer.failure_status),
            server_timing: server_timing.or(outer.server_timing),
            report_extension: report_extension.or(outer.report_extension),
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

/// Calls every observer. One that panics is logged, and the next one is called.
#[inline]
pub(crate) fn notify(observers: &[Arc<dyn DrainObserver>], call: impl Fn(&dyn DrainObserver)) {
    for observer in observers {
        if let Err(message) = panics::caught(|| call(&**observer)) {
            // A subscriber may panic at that too.
            let _ = panics::caught(|| trace::callback_panicked(message.as_deref()));
        }
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
