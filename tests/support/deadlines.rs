//! Measures how long a response is held whose task never ends, and which limit closes its window.

use std::fmt::Debug;
use std::future::pending;
use std::time::{Duration, SystemTime};

use http::Request;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::deadline::DeadlineSource;
use tower_task_tracker::{DrainReport, Limit, Outcome, TaskTrackerLayer, spawn};

use super::{Log, Slot, current, ms, put, slow, take};

/// What the layer waits for by itself: longer than most of what sources say.
pub(crate) const OWN: Duration = Duration::from_secs(100 * 60 * 60);

/// A layer with this source.
pub(crate) fn layer_with(source: impl DeadlineSource) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(OWN)
        .deadline_source(source)
}

/// How one response was held.
pub(crate) struct Held {
    /// From the arrival of the request to its response.
    pub(crate) took: Duration,
    /// The deadline that the handler saw, counted from the arrival.
    pub(crate) known: Option<Duration>,
    pub(crate) report: DrainReport,
}

impl Held {
    /// The tasks were alive when this limit closed the window, so long after the arrival.
    #[track_caller]
    pub(crate) fn is_closed_by(&self, bound: Limit, after: Duration, which: impl Debug) {
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
    pub(crate) fn is_left_to_the_layer(&self, which: impl Debug) {
        assert_eq!(self.known, None, "{which:?} is no deadline");
        self.is_closed_by(Limit::DrainTimeout, OWN, which);
    }
}

/// Serves a request whose handler takes so long, and whose task never ends.
pub(crate) async fn hold_after(
    handling: Duration,
    layer: &TaskTrackerLayer,
    request: Request<()>,
) -> Held {
    let log = Log::default();
    let known = Slot::default();
    let seen = known.clone();
    let service = slow(&layer.clone().observer(log.clone()), handling, move || {
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
pub(crate) fn unix_now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("it is past 1970")
}

/// Serves a request with a deadline in Unix time, which is so far away, and checks that it was turned
/// into tokio's clock: exactly, but for the time between two looks at the wall clock.
pub(crate) async fn is_turned_into_tokios_clock(
    bound: Limit,
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
