//! The trait of deadline sources, and the source that wraps a closure.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::trace;

/// The type of request that a source reads by default.
#[cfg(feature = "http")]
type DefaultRequest = http::request::Parts;
/// Without HTTP there is no default. The type has to be written.
#[cfg(not(feature = "http"))]
type DefaultRequest = std::convert::Infallible;

/// Finds the deadline of a request: an instant at which the response has to be on its way.
///
/// The layer calls it when the request arrives. An instant that has passed by then is ignored, because local emulators
/// of platforms send such values. If a source panics, the request has no deadline from it, and the panic is logged.
///
/// Closures do not implement this trait. `deadline_from` of the layers takes a closure as it is. [`Source::new`] makes
/// a source from a closure, with a name, a margin and more.
pub trait DeadlineSource<Request = DefaultRequest>: Send + Sync + 'static {
    /// Returns the deadline of this request, on tokio's clock, or `None` if it has none. An instant equal to the
    /// arrival counts. An earlier one is ignored. Each layer that the request passes calls its own sources.
    fn deadline(&self, request: &Request) -> Option<Instant>;

    /// Returns the name that [`Limit::Source`](crate::Limit::Source) contains if the window closes at this deadline.
    fn name(&self) -> &'static str {
        "deadline source"
    }

    /// Returns the shortest window that this source may cause, from the opening of the window.
    fn at_least(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns true if the client chooses the instant. It then ends the hold, but not the work.
    fn is_from_client(&self) -> bool {
        false
    }
}

/// A deadline source that wraps a closure, and has settings.
pub struct Source<Request = DefaultRequest> {
    read: Box<Read<Request>>,
    name: &'static str,
    margin: Duration,
    at_least: Duration,
    from_client: bool,
}

impl<Request: 'static> Source<Request> {
    /// Returns a source that calls a closure. `name` is its name in reports.
    pub fn new(
        name: &'static str,
        read: impl Fn(&Request) -> Option<Instant> + Send + Sync + 'static,
    ) -> Self {
        Self {
            read: Box::new(read),
            name,
            margin: Duration::ZERO,
            at_least: Duration::ZERO,
            from_client: false,
        }
    }

    /// Sets a time that is subtracted from the instant, so that the response can travel and other work can be done.
    /// Zero by default. If the result has passed, it counts as now: the window closes as soon as running tasks had one
    /// turn of the scheduler.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Sets the shortest window that this source may cause, from the opening of the window, on tokio's clock. Zero by
    /// default. Other limits may still make the window shorter.
    #[must_use]
    pub fn at_least(mut self, at_least: Duration) -> Self {
        self.at_least = at_least;
        self
    }

    /// Sets the name of the source in reports.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Marks the instant as chosen by the client. Tasks that are alive at it then run on, whatever `at_deadline` is.
    #[must_use]
    pub fn from_client(mut self) -> Self {
        self.from_client = true;
        self
    }
}

impl<Request: 'static> DeadlineSource<Request> for Source<Request> {
    fn deadline(&self, request: &Request) -> Option<Instant> {
        // The clock is read before the closure runs. Otherwise an instant that is near could pass while it runs.
        let now = Instant::now();
        let at = (self.read)(request)?;
        if at < now {
            trace::deadline_ignored(self.name, "it is past");
            return None;
        }
        Some(at.checked_sub(self.margin).map_or(now, |at| at.max(now)))
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn at_least(&self) -> Duration {
        self.at_least
    }

    fn is_from_client(&self) -> bool {
        self.from_client
    }
}

impl<Request> fmt::Debug for Source<Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("margin", &self.margin)
            .field("at_least", &self.at_least)
            .field("from_client", &self.from_client)
            .finish_non_exhaustive()
    }
}

/// A closure as a source of the platform, without a name of its own. In contrast to a [`Source`], an instant is
/// compared with the arrival of the request, not with the moment of the call.
pub(crate) struct ClosureSource<F>(pub(crate) F);

impl<Request, F> DeadlineSource<Request> for ClosureSource<F>
where
    F: Fn(&Request) -> Option<Instant> + Send + Sync + 'static,
{
    fn deadline(&self, request: &Request) -> Option<Instant> {
        (self.0)(request)
    }
}

type Read<Request> = dyn Fn(&Request) -> Option<Instant> + Send + Sync;
