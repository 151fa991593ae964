//! The spans that have closed.

use std::sync::{Arc, Mutex};

use tracing::span::Id;
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::lines::subscribe;

/// The names of the spans that have closed, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closed(pub(crate) Arc<Mutex<Vec<&'static str>>>);

impl Closed {
    /// Records the spans of this thread, until the returned value is dropped.
    pub(crate) fn watch(&self) -> impl Sized + use<> {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        subscribe(subscriber, Level::TRACE)
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.all().iter().filter(|closed| **closed == name).count()
    }

    pub(crate) fn all(&self) -> Vec<&'static str> {
        self.0.lock().expect("no panic holds this lock").clone()
    }
}

impl<S> Layer<S> for Closed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let name = context.span(&id).map(|span| span.name());
        let mut closed = self.0.lock().expect("no panic holds this lock");
        closed.extend(name);
    }
}
