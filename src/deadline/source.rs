//! What a deadline source is, and how it is read.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::trace;

/// What a source reads if no other type is named.
#[cfg(feature = "http")]
type DefaultRequest = http::request::Parts;
/// Without HTTP there is no default: the type has to be named.
#[cfg(not(feature = "http"))]
type DefaultRequest = std::convert::Infallible;

/// Knows of an instant at which the response to a request has to be on its way.
///
/// It is asked when the request arrives at the layer. An instant that was past by then is
/// ignored: local emulators of platforms send such values. A source that panics knows of none, and
/// is logged.
///
/// No closure is one: `deadline_from` of the layers takes a closure as it is, and [`Source::new`] makes a source
/// of one, which can be tuned.
pub trait DeadlineSource<Request = DefaultRequest>: Send + Sync + 'static {
    /// The instant, on tokio's clock, if this request has one; the instant of the arrival itself is not
    /// past. Each layer that the request passes asks the sources that it was given.
    fn deadline(&self, request: &Request) -> Option<Instant>;

    /// What [`Limit::Source`](crate::Limit::Source) says when the window closed there.
    fn name(&self) -> &'static str {
        "deadline source"
    }

    /// The source makes no window shorter than this, counted from its opening.
    fn at_least(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether the client chooses the instant: then it ends no work.
    fn is_from_client(&self) -> bool {
        false
    }
}

/// A deadline source that can be tuned.
pub struct Source<Request = DefaultRequest> {
    read: Box<Read<Request>>,
    name: &'static str,
    margin: Duration,
    at_least: Duration,
    from_client: bool,
}

impl<Request: 'static> Source<Request> {
    /// A source that asks a closure. `name` is what reports call it.
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

    /// Takes so much off the instant, for the response to travel and for what else has to be done.
    /// Zero by default. An instant that is past then counts as now: the window closes as soon as running
    /// tasks had one turn of the scheduler.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// The source makes no window shorter than this, counted from its opening on tokio's clock. Zero
    /// by default. Other limits may make it shorter.
    #[must_use]
    pub fn at_least(mut self, at_least: Duration) -> Self {
        self.at_least = at_least;
        self
    }

    /// What reports call it.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The client chooses the instant. Then the tasks that are alive at it are detached, whatever is
    /// said of them otherwise.
    #[must_use]
    pub fn from_client(mut self) -> Self {
        self.from_client = true;
        self
    }
}

impl<Request: 'static> DeadlineSource<Request> for Source<Request> {
    fn deadline(&self, request: &Request) -> Option<Instant> {
        // Before it is read, which takes time: what is a moment away then is not past.
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

/// Asks a closure, as a platform's source without a name of its own. Unlike in a [`Source`], the instant of the
/// arrival is not past for it, whenever the closure is called.
pub(crate) struct ReadBy<F>(pub(crate) F);

impl<Request, F> DeadlineSource<Request> for ReadBy<F>
where
    F: Fn(&Request) -> Option<Instant> + Send + Sync + 'static,
{
    fn deadline(&self, request: &Request) -> Option<Instant> {
        (self.0)(request)
    }
}

type Read<Request> = dyn Fn(&Request) -> Option<Instant> + Send + Sync;
