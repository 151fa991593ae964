//! HTTP/1 connections that close, that are shared by pipelined requests, or that the client leaves.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskState, TaskTrackerLayer};

use crate::support::{Log, after};
use crate::wire::harness::clock::soon;
use crate::wire::harness::gate::Gate;
use crate::wire::harness::pipe::Pipe;
use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Script;
use crate::wire::harness::script::Step::{self, Data, Turn};
use crate::wire::harness::serve::HttpService;

/// A stream: `one`, `two` and its end.
const STREAM: &[Step] = &[Data("one"), Turn, Data("two")];

#[test]
fn http1_connection_close_waits_for_the_task_whatever_the_length() {
    let row = Row {
        fields: "connection: close\n",
        steps: STREAM,
        first: "HTTP/1.1 200 OK\nconnection: close\ntransfer-encoding: chunked\n\n\
                3\none\n3\ntwo\n",
        rest: "0\n\n<closed>",
        ..GET
    };
    row.check_http1();
    Row {
        hold: Hold::End,
        size: Some(6),
        first: "HTTP/1.1 200 OK\nconnection: close\ncontent-length: 6\n\none",
        rest: "two<closed>",
        ..row
    }
    .check_http1();
    Row {
        steps: &[Data("whole")],
        size: Some(5),
        first: "",
        rest: "HTTP/1.1 200 OK\nconnection: close\ncontent-length: 5\n\nwhole<closed>",
        ..row
    }
    .check_http1();
}

#[test]
fn http1_connection_close_of_the_handler_waits_for_the_task() {
    Row {
        headers: &[("connection", "close")],
        steps: STREAM,
        first: "HTTP/1.1 200 OK\nconnection: close\ntransfer-encoding: chunked\n\n\
                3\none\n3\ntwo\n",
        rest: "0\n\n<closed>",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_0_a_body_that_ends_with_the_connection_holds_the_connection() {
    let row = Row {
        version: "HTTP/1.0",
        steps: STREAM,
        first: "HTTP/1.0 200 OK\n\nonetwo",
        rest: "<closed>",
        ..GET
    };
    row.check_http1();
    Row {
        hold: Hold::End,
        ..row
    }
    .check_http1();
}

#[test]
fn http1_0_a_known_length_is_held_as_in_http1_1() {
    let row = Row {
        version: "HTTP/1.0",
        steps: STREAM,
        size: Some(6),
        first: "HTTP/1.0 200 OK\ncontent-length: 6\n\none",
        rest: "two<closed>",
        ..GET
    };
    row.check_http1();
    Row {
        headers: &[("content-length", "6")],
        size: None,
        ..row
    }
    .check_http1();
    Row {
        steps: &[Data("whole")],
        size: Some(5),
        first: "",
        rest: "HTTP/1.0 200 OK\ncontent-length: 5\n\nwhole<closed>",
        ..row
    }
    .check_http1();
}

/// Each path has a gate of its own.
fn gated(layer: &TaskTrackerLayer, gates: &[Gate; 2]) -> impl HttpService + use<> {
    let gates = gates.clone();
    layer.layer(service_fn(move |request: Request<Incoming>| {
        let is_second = request.uri().path() == "/second";
        tower_task_tracker::spawn(gates[usize::from(is_second)].task());
        let steps = if is_second { &[Data("second")] } else { STREAM };
        let size = is_second.then_some(6);
        let response = Response::new(Script::new(steps, size, is_second, None));
        async { Ok::<_, Infallible>(response) }
    }))
}

const PIPELINED: &str =
    "GET /first HTTP/1.1\r\nhost: here\r\n\r\nGET /second HTTP/1.1\r\nhost: here\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn http1_the_second_of_two_pipelined_requests_is_answered_after_the_firsts_hold() {
    let (log, gates) = (Log::default(), [Gate::default(), Gate::default()]);
    let layer = TaskTrackerLayer::new()
        .drain_timeout(None)
        .observer(log.clone());
    let mut pipe = Pipe::open(gated(&layer, &gates));
    pipe.send(PIPELINED).await;
    let head = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n";
    let first = [head, "3\none\n3\ntwo\n"].concat();
    assert_eq!(pipe.until_idle().await, first);
    assert_eq!(layer.handle().live_tasks(), 1, "the second has not begun");

    gates[0].open();
    assert_eq!(pipe.until_idle().await, "0\n\n", "the second is held");
    assert_eq!(layer.handle().live_tasks(), 1, "the second has begun");
    assert_eq!(log.report().outcome, Outcome::Drained);

    gates[1].open();
    let second = "HTTP/1.1 200 OK\ncontent-length: 6\n\nsecond";
    assert_eq!(pipe.until_idle().await, second);
    let outcomes: Vec<_> = log.reports().iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Drained; 2]);
}

#[tokio::test(start_paused = true)]
async fn http1_a_client_that_leaves_ends_the_hold_and_not_the_task() {
    for path in ["first", "second"] {
        let (log, gates) = (Log::default(), [Gate::default(), Gate::default()]);
        let layer = TaskTrackerLayer::new()
            .drain_timeout(None)
            .observer(log.clone());
        let mut pipe = Pipe::open(gated(&layer, &gates));
        pipe.send(format!("GET /{path} HTTP/1.1\r\nhost: here\r\n\r\n"))
            .await;
        let arrived = pipe.until_idle().await;
        assert_eq!(arrived.is_empty(), path == "second", "the head is held");
        assert!(log.all().is_empty(), "the client is there");

        drop(pipe);
        after(1).await;
        let report = log.report();
        assert_eq!(report.outcome, Outcome::Dropped, "{report}");
        assert_eq!(report.stragglers.len(), 1, "{report}");
        assert_eq!(layer.handle().live_tasks(), 1, "it runs on");

        gates.iter().for_each(Gate::open);
        soon(layer.handle().wait_idle()).await;
        assert_eq!(log.late_ends()[0].state, TaskState::Completed);
    }
}
