//! When a hold ends that would go on: the limits of the drain window, and the sources of deadlines.

mod asked;
mod at_least;
mod clients;
mod environment;
mod grpc_timeout;
mod lambda;
mod limits;
mod margin;
mod moving;
mod nested;
mod prefer;
mod properties;
mod races;
mod robust;
mod several;
mod sources;
mod stopping;
mod unix_millis;
mod windows;

use std::fmt::Debug;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::Request;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::deadline::DeadlineSource;
use tower_task_tracker::{Bound, DrainReport, Outcome, TaskTrackerLayer, spawn};

use crate::support::{Log, Slot, current, ms, put, slow, take};

/// What the layer waits for by itself: longer than most of what sources say.
const OWN: Duration = Duration::from_secs(100 * 60 * 60);

const NOW: Duration = Duration::ZERO;

/// A layer with this source.
fn layer_with(source: impl DeadlineSource) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(OWN)
        .deadline_from(source)
}

/// A source that is a closure: so long after the request arrives.
fn arrival_plus(millis: u64) -> impl DeadlineSource {
    move |_: &http::request::Parts| Some(Instant::now() + ms(millis))
}

/// The same, and how often it was asked.
fn counted_plus(millis: u64) -> (Arc<AtomicUsize>, impl DeadlineSource) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let source = move |_: &http::request::Parts| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(Instant::now() + ms(millis))
    };
    (asked, source)
}

/// How one response was held.
struct Held {
    /// From the arrival of the request to its response.
    took: Duration,
    /// The deadline that the handler saw, counted from the arrival.
    known: Option<Duration>,
    report: DrainReport,
}

impl Held {
    /// The tasks were alive when this limit closed the window, so long after the arrival.
    #[track_caller]
    fn is_closed_by(&self, bound: Bound, after: Duration, which: impl Debug) {
        let report = &self.report;
        assert_eq!(report.closed_by, Some(bound), "{which:?}: {report}");
        assert_eq!(self.took, after, "{which:?}: {report}");
        assert_eq!(
            report.outcome,
            Outcome::DeadlineExceeded,
            "{which:?}: {report}"
        );
    }

    /// No source counted: the layer's own timeout closed the window.
    #[track_caller]
    fn is_left_to_the_layer(&self, which: impl Debug) {
        assert_eq!(self.known, None, "{which:?} is no deadline");
        self.is_closed_by(Bound::DrainTimeout, OWN, which);
    }
}

/// Serves a request whose task never ends.
async fn hold(layer: &TaskTrackerLayer, request: Request<()>) -> Held {
    hold_after(NOW, layer, request).await
}

/// The same, with a handler that takes so long.
async fn hold_after(handling: Duration, layer: &TaskTrackerLayer, request: Request<()>) -> Held {
    let log = Log::default();
    let known = Slot::default();
    let seen = known.clone();
    let service = slow(&layer.clone().on_drain(log.clone()), handling, move || {
        put(&seen, current().deadline());
        spawn(pending::<()>());
    });
    let arrival = Instant::now();
    let response = service.oneshot(request).await.expect("infallible");
    let took = arrival.elapsed();
    drop(response);
    let known: Option<Instant> = take(&known);
    Held {
        took,
        known: known.map(|at| at - arrival),
        report: log.report(),
    }
}

/// The wall clock, since 1970.
fn unix_now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("it is past 1970")
}

/// Serves a request with a deadline in Unix time, which is so far away, and checks that it was turned
/// into tokio's clock: exactly, but for the time between two looks at the wall clock.
async fn is_turned_into_tokios_clock(
    bound: Bound,
    away: Duration,
    serve: impl AsyncFnOnce(u64) -> Held,
) {
    let deadline = Duration::from_millis((unix_now() + away).as_millis() as u64);
    let before = unix_now();
    let held = serve(deadline.as_millis() as u64).await;
    let (earliest, latest) = (deadline.saturating_sub(unix_now()), deadline - before);
    let known = held.known.expect("it is a deadline");
    assert!(
        (earliest..=latest).contains(&known),
        "{known:?} is in {earliest:?}..={latest:?}"
    );
    assert_eq!(held.report.closed_by, Some(bound));
    assert!(known <= held.took && held.took < known + ms(1));
}
