//! What becomes of a task that is alive at a deadline.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{DrainReport, Limit, TaskState, TaskTrackerLayer, Unfinished};

use super::slow;
use crate::support::{Log, after, current, ms, with_field};

/// The policies that abort or cancel at the deadline.
pub(super) const POLICIES: [Unfinished; 4] = [
    Unfinished::Abort,
    Unfinished::Cancel {
        grace: Duration::ZERO,
    },
    Unfinished::Cancel {
        grace: Duration::from_millis(40),
    },
    Unfinished::Cancel {
        grace: Duration::MAX,
    },
];

pub(super) const GRPC: Limit = Limit::Source("grpc-timeout");

pub(super) const PLATFORM: Limit = Limit::Source("deadline source");

/// What became of a request whose task takes 300 ms.
pub(super) struct Seen {
    took: Duration,
    report: DrainReport,
    /// How the task ended, if it was after the report.
    ended: Option<TaskState>,
    /// When the task was cancelled, counted from the arrival.
    pub(super) cancelled: Option<Duration>,
}

/// Serves a request whose handler takes so long.
pub(super) async fn serve(
    handling: Duration,
    layer: TaskTrackerLayer,
    request: Request<()>,
) -> Seen {
    let log = Log::default();
    let (tell, observed) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let layer = layer.observer(log.clone());
    let service = slow(&layer, handling, move || {
        let tasks = current();
        tasks.spawn(after(300));
        let token = tasks.cancellation_token();
        let tell = tell.lock().expect("unpoisoned").take();
        tokio::spawn(async move {
            token.cancelled().await;
            let _ = tell.expect("called once").send(Instant::now());
        });
    });
    let arrival = Instant::now();
    let response = service.oneshot(request).await.expect("infallible");
    let took = arrival.elapsed();
    drop(response);
    layer.handle().wait_idle().await;
    // Time enough for each observer call.
    let cancelled = tokio::time::timeout(ms(10), observed).await;
    Seen {
        took,
        report: log.report(),
        ended: log.late_ends().first().map(|task| task.state),
        cancelled: cancelled.ok().and_then(Result::ok).map(|at| at - arrival),
    }
}

impl Seen {
    /// The window closed there, and the task ran on to its end.
    #[track_caller]
    pub(super) fn was_detached(&self, bound: Limit, took: Duration) {
        let report = &self.report;
        assert_eq!(report.closed_by, Some(bound), "{report}");
        assert_eq!(self.took, took, "{report}");
        assert_eq!((report.aborted, report.stragglers.len()), (0, 1));
        assert_eq!(self.ended, Some(TaskState::Completed), "{report}");
        assert_eq!(self.cancelled, None, "it was not asked to stop");
    }

    /// The window closed there, and the task was stopped in time.
    #[track_caller]
    pub(super) fn was_stopped(&self, bound: Limit, by: Duration) {
        let report = &self.report;
        assert_eq!(report.closed_by, Some(bound), "{report}");
        assert!(self.took <= by, "{:?}: {report}", self.took);
        assert_eq!((report.aborted, report.stragglers.len()), (1, 0));
        let cancelled = self.cancelled.expect("it was asked to stop");
        assert!(cancelled <= by, "{cancelled:?}: {report}");
    }
}

pub(super) fn base(policy: Unfinished) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(10_000))
        .at_deadline(policy)
}

/// The client waits for 100 ms.
pub(super) fn impatient() -> Request<()> {
    with_field("grpc-timeout", "100m")
}
