//! One request through a stack of layers. Its handler sends a text and spawns a task that outlives it.

use axum::Router;
use axum::routing::get;
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::Log;
use crate::wire::harness::gate::Gate;
use crate::wire::harness::pipe::Pipe;
use crate::wire::harness::serve::HttpService;

pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nhost: here\r\naccept-encoding: gzip\r\n\r\n";

pub(crate) const TEXT: &str = "long enough to be worth the while of a compressor";

/// What a test has at hand.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    pub(crate) log: Log,
    pub(crate) gate: Gate,
}

impl Setup {
    pub(crate) fn layer(&self) -> TaskTrackerLayer {
        TaskTrackerLayer::new()
            .drain_timeout(None)
            .observer(self.log.clone())
    }

    pub(crate) fn router(&self) -> Router {
        let gate = self.gate.clone();
        let handler = async move || {
            tower_task_tracker::spawn(gate.task());
            TEXT
        };
        Router::new().route("/", get(handler))
    }

    /// One request, whose response does not end before its task.
    pub(crate) async fn check_held(&self, service: impl HttpService) -> String {
        let mut pipe = Pipe::open(service);
        pipe.send(REQUEST).await;
        let mut arrived = pipe.bytes_until_idle(4096).await;
        assert!(!has_ended(&arrived), "the task is alive: {arrived:?}");
        assert!(self.log.all().is_empty(), "it is too early to report");
        self.gate.open();
        arrived.extend(pipe.bytes_until_idle(4096).await);
        assert!(has_ended(&arrived), "the task has ended: {arrived:?}");
        assert_eq!(self.log.report().outcome, Outcome::Drained);
        String::from_utf8_lossy(&arrived).into_owned()
    }
}

/// Whether a client has all of a response.
pub(crate) fn has_ended(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 200 OK\r\n"));
    let is_last = |ending: &str| bytes.ends_with(ending.as_bytes());
    if text.contains("transfer-encoding: chunked") {
        is_last("\r\n0\r\n\r\n")
    } else {
        is_last(TEXT)
    }
}
