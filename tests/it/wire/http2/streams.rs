//! HTTP/2: many responses on one connection, each with its own hold.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, service_fn};
use tower_task_tracker::{Outcome, TaskState, TaskTrackerLayer};

use crate::support::{Log, after, assert_adds_up};
use crate::wire::harness::frames::{Client, split_ends};
use crate::wire::harness::gate::Gate;
use crate::wire::harness::script::Script;
use crate::wire::harness::script::Step::{Data, Turn};
use crate::wire::harness::serve::HttpService;

const STREAMS: usize = 100;

/// Each path, a number, has a gate of its own.
fn gated(layer: &TaskTrackerLayer, gates: &[Gate]) -> impl HttpService + use<> {
    let gates: Arc<[Gate]> = gates.into();
    layer.layer(service_fn(move |request: Request<Incoming>| {
        let number: usize = request.uri().path()[1..].parse().expect("a number");
        tower_task_tracker::spawn(gates[number].task());
        // Every third one is whole and has its head held.
        let (steps, size): (&[_], _) = if number % 3 == 0 {
            (&[Data("whole")], Some(5))
        } else {
            (&[Data("one"), Turn, Data("two")], None)
        };
        let response = Response::new(Script::new(steps, size, false, None));
        async { Ok::<_, Infallible>(response) }
    }))
}

fn first_and_rest(number: usize) -> [&'static str; 2] {
    if number % 3 == 0 {
        ["", "head 200 content-length=5\ndata whole\nend\n"]
    } else {
        ["head 200\ndata one\ndata two\n", "end\n"]
    }
}

fn layer(log: &Log) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(None)
        .observer(log.clone())
}

#[tokio::test(start_paused = true)]
async fn http2_each_of_many_streams_ends_after_its_own_task_and_no_other() {
    let log = Log::default();
    let gates: Vec<_> = (0..STREAMS).map(|_| Gate::default()).collect();
    let layer = layer(&log);
    let mut client = Client::connect(gated(&layer, &gates)).await;
    let streams: Vec<_> = (0..STREAMS)
        .map(|number| client.request_to("GET", &format!("http://here/{number}")))
        .collect();
    after(1).await;
    for (number, stream) in streams.iter().enumerate() {
        let [first, _] = first_and_rest(number);
        assert_eq!(stream.arrived(), first, "stream {number}, before its task");
    }
    assert_eq!(layer.handle().live_tasks(), STREAMS);

    // 37 and 100 have no common factor: every stream comes once, far from its neighbours.
    for (done, number) in (0..STREAMS).map(|step| step * 37 % STREAMS).enumerate() {
        gates[number].open();
        after(1).await;
        for (other, stream) in streams.iter().enumerate() {
            let arrived = split_ends(&stream.arrived());
            let [_, rest] = first_and_rest(number);
            let expected = if other == number { rest } else { "" };
            assert_eq!(arrived, expected, "stream {other} when {number} may end");
        }
        assert_eq!(log.reports().len(), done + 1);
    }
    for report in log.reports() {
        assert_eq!(report.outcome, Outcome::Drained);
        assert_adds_up(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn http2_a_stream_that_the_client_resets_is_dropped_and_touches_nothing_else() {
    // One whose end is held, and one whose head is.
    for reset in [1, 3] {
        let log = Log::default();
        let gates: Vec<_> = (0..4).map(|_| Gate::default()).collect();
        let layer = layer(&log);
        let mut client = Client::connect(gated(&layer, &gates)).await;
        let mut left = client.request_to("GET", &format!("http://here/{reset}"));
        let other = client.request_to("GET", "http://here/2");
        after(1).await;
        assert_eq!(left.arrived(), first_and_rest(reset)[0]);
        assert_eq!(other.arrived(), first_and_rest(2)[0]);
        assert!(log.all().is_empty(), "no client has left");

        left.reset();
        after(1).await;
        let report = log.report();
        assert_eq!(report.outcome, Outcome::Dropped, "{report}");
        assert_eq!(report.stragglers.len(), 1, "{report}");
        assert_eq!(layer.handle().live_tasks(), 2, "both run on");
        assert_eq!(other.arrived(), "", "the other one is held on");

        gates[reset].open();
        after(1).await;
        assert!(gates[reset].was_passed(), "the task of the dropped one ran");
        let ends = log.late_ends();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(ends[0].state, TaskState::Completed);
        assert_eq!(other.arrived(), "", "its own task has not ended");

        gates[2].open();
        after(1).await;
        assert_eq!(split_ends(&other.arrived()), "end\n");
        let outcomes: Vec<_> = log.reports().iter().map(|report| report.outcome).collect();
        assert_eq!(outcomes, [Outcome::Dropped, Outcome::Drained]);

        let next = client.request_to("GET", "http://here/0");
        gates[0].open();
        let whole = split_ends(&next.until_idle().await);
        assert_eq!(whole, first_and_rest(0)[1], "the connection goes on");
    }
}
