//! What a layer, a nested layer and a request may say, and how it merges.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::report::OnDrain;
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
    /// done. Otherwise the end: the body streams through.
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

/// What was said explicitly; `None` says nothing, so that who stands further out decides.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    #[cfg(feature = "http")]
    pub(crate) hold: Option<Hold>,
    pub(crate) drain_timeout: Option<Option<Duration>>,
    pub(crate) observers: Vec<Arc<dyn OnDrain>>,
}

impl Settings {
    /// Lets `inner` win wherever it says something. Its observers are added, but for those that are
    /// here or `known` already: a route's layer is often made from the router's.
    pub(crate) fn overlay(&mut self, inner: &Settings, known: &[Arc<dyn OnDrain>]) {
        let Settings {
            #[cfg(feature = "http")]
            hold,
            drain_timeout,
            observers,
        } = inner;
        #[cfg(feature = "http")]
        {
            self.hold = hold.or(self.hold);
        }
        self.drain_timeout = drain_timeout.or(self.drain_timeout);
        for observer in observers {
            let is_this = |other: &Arc<dyn OnDrain>| {
                std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(observer))
            };
            if !known.iter().chain(&self.observers).any(is_this) {
                self.observers.push(observer.clone());
            }
        }
    }

    /// Whether nothing was said.
    pub(crate) fn is_silent(&self) -> bool {
        let Settings {
            #[cfg(feature = "http")]
            hold,
            drain_timeout,
            observers,
        } = self;
        #[cfg(feature = "http")]
        if hold.is_some() {
            return false;
        }
        drain_timeout.is_none() && observers.is_empty()
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

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = f.debug_struct("Settings");
        #[cfg(feature = "http")]
        settings.field("hold", &self.hold);
        settings
            .field("drain_timeout", &self.drain_timeout)
            .field("observers", &self.observers.len())
            .finish()
    }
}
