//! The lines of the log.

use std::io;
use std::sync::{Arc, Mutex};

use http::Request;
use tower::ServiceExt;
use tower_task_tracker::TaskTrackerLayer;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{request, tracked};

/// Everything that was logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Records this thread, until the returned value is dropped.
    pub(crate) fn record(&self) -> impl Sized + use<> {
        self.record_from(Level::DEBUG)
    }

    pub(crate) fn record_from(&self, level: Level) -> impl Sized + use<> {
        record(self.clone(), level)
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().expect("no panic holds this lock").clone();
        String::from_utf8(lines).expect("text")
    }

    /// How many lines have this in them.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.text()
            .lines()
            .filter(|line| line.contains(part))
            .count()
    }

    /// Where this is in the text.
    #[track_caller]
    pub(crate) fn place(&self, part: &str) -> usize {
        let text = self.text();
        text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))
    }

    /// The one line that has this in it.
    #[track_caller]
    pub(crate) fn with(&self, part: &str) -> String {
        let all = self.text();
        let mut lines = all.lines().filter(|line| line.contains(part));
        let line = lines.next();
        assert!(line.is_some() && lines.next().is_none(), "{part}: {all}");
        line.unwrap_or_default().trim_start().to_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().expect("no panic holds this lock");
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Records what is logged on this thread, until it is dropped.
fn record(lines: Lines, level: Level) -> (DefaultGuard, Dispatch) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(lines)
        .with_ansi(false)
        .without_time()
        .finish();
    subscribe(subscriber, level)
}

/// Sends the events and spans of this thread to a subscriber, until the returned value is dropped.
///
/// While there is only one subscriber, tracing checks the interest in an event on the thread where it occurs first, and
/// keeps the result for all threads. A thread without a subscriber has no interest. Hence the second subscriber.
pub(crate) fn subscribe(
    subscriber: impl Subscriber + Send + Sync + 'static,
    level: Level,
) -> (DefaultGuard, Dispatch) {
    let second = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::sink)
        .finish();
    (
        tracing::subscriber::set_default(subscriber),
        Dispatch::new(second),
    )
}

/// What is logged while a request is served that runs `start`, in a span `request`.
pub(crate) async fn logged(
    layer: TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
) -> Lines {
    logged_of(request(), layer, start).await
}

pub(crate) async fn logged_of(
    request: Request<()>,
    layer: TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
) -> Lines {
    let lines = Lines::default();
    let _recording = lines.record();
    let request_span = tracing::info_span!("request", id = 7);
    let handle = layer.handle();
    let held = request_span.in_scope(|| tracked(&layer, start).oneshot(request));
    drop(tracing::Instrument::instrument(held, request_span).await);
    handle.wait_idle().await;
    lines
}
