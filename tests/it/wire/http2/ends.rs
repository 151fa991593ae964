//! HTTP/2: bodies that end in trailers, in an error, or short of their length.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Fail, Spawn, Trailers, Turn};

#[test]
fn http2_trailers_wait_for_the_task_and_all_data_passes_at_once() {
    for hold in [Hold::Auto, Hold::End] {
        let row = Row {
            hold,
            headers: &[("content-type", "application/grpc")],
            steps: &[Data("one"), Turn, Data("two"), Turn, Trailers],
            first: "head 200 content-type=application/grpc\ndata one\ndata two\n",
            rest: "trailers x-sum=6\nend\n",
            ..GET
        };
        row.check_http2();
        Row {
            steps: &[Data("one"), Data("two"), Trailers],
            ..row
        }
        .check_http2();
        Row {
            steps: &[Data("one"), Data("two"), Spawn, Trailers],
            ..row
        }
        .check_http2();
    }
}

#[test]
fn http2_trailers_alone_wait_for_the_task() {
    Row {
        steps: &[Trailers],
        first: "head 200\n",
        rest: "trailers x-sum=6\nend\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_trailers_after_an_exact_length_follow_the_withheld_data() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two"), Trailers],
        size: Some(6),
        first: "head 200 content-length=6\ndata one\n",
        rest: "data two\ntrailers x-sum=6\nend\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_a_body_error_waits_for_the_task() {
    let row = Row {
        steps: &[Data("one"), Turn, Fail],
        first: "head 200\ndata one\n",
        rest: "reset 2\n",
        ..GET
    };
    row.check_http2();
    Row {
        size: Some(6),
        first: "head 200 content-length=6\ndata one\n",
        ..row
    }
    .check_http2();
}

#[test]
fn http2_a_body_error_after_the_known_length_follows_the_withheld_data() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two"), Turn, Fail],
        size: Some(6),
        first: "head 200 content-length=6\ndata one\n",
        rest: "data two\nreset 2\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_a_body_of_known_length_that_ends_short_holds_its_end() {
    let row = Row {
        steps: &[Data("one"), Turn],
        size: Some(6),
        first: "head 200 content-length=6\ndata one\n",
        rest: "reset 1\n",
        announced: &[false],
        ..GET
    };
    row.check_http2();
}
