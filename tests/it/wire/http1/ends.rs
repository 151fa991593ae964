//! HTTP/1: bodies that end in trailers, in an error, or short of their length.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Fail, Spawn, Trailers, Turn};

const CHUNKED: Row = Row {
    first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n",
    ..GET
};

#[test]
fn http1_chunked_trailers_wait_with_the_last_chunk() {
    let row = Row {
        fields: "te: trailers\n",
        headers: &[("trailer", "x-sum")],
        steps: &[Data("one"), Data("two"), Trailers],
        first: "HTTP/1.1 200 OK\ntrailer: x-sum\ntransfer-encoding: chunked\n\n\
                3\none\n3\ntwo\n",
        rest: "0\nx-sum: 6\n\n",
        ..GET
    };
    row.check_http1();
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Turn, Data("two"), Turn, Trailers],
        ..row
    }
    .check_http1();
    Row {
        steps: &[Data("one"), Data("two"), Spawn, Trailers],
        ..row
    }
    .check_http1();
}

#[test]
fn http1_trailers_that_the_client_does_not_ask_for_still_hold_the_end() {
    Row {
        headers: &[("trailer", "x-sum")],
        steps: &[Data("one"), Trailers],
        first: "HTTP/1.1 200 OK\ntrailer: x-sum\ntransfer-encoding: chunked\n\n3\none\n",
        rest: "0\n\n",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_trailers_after_an_exact_length_do_not_free_the_last_data() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two"), Trailers],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "two",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_a_body_error_waits_for_the_task() {
    Row {
        steps: &[Data("one"), Turn, Fail],
        rest: "<closed>",
        ..CHUNKED
    }
    .check_http1();
}

#[test]
fn http1_a_body_error_that_comes_at_once_does_not_take_the_data_with_it() {
    let row = Row {
        steps: &[Data("one"), Fail],
        rest: "<closed>",
        ..CHUNKED
    };
    row.check_http1_held();
    Row {
        steps: &[Fail],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\n",
        ..row
    }
    .check_http1_held();
}

#[test]
fn http1_a_body_is_not_polled_for_an_error_after_the_known_length() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two"), Fail],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "two",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_a_body_error_before_any_data_waits_for_the_task() {
    Row {
        steps: &[Turn, Fail],
        first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n",
        rest: "<closed>",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_a_body_error_within_a_known_length_waits_for_the_task() {
    let row = Row {
        steps: &[Data("one"), Turn, Fail],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "<closed>",
        ..GET
    };
    row.check_http1();
    Row {
        headers: &[("content-length", "6")],
        size: None,
        ..row
    }
    .check_http1();
}

#[test]
fn http1_a_body_of_known_length_that_ends_short_holds_its_end() {
    let row = Row {
        steps: &[Data("one"), Turn],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "<closed>",
        announced: &[false],
        ..GET
    };
    row.check_http1();
    Row {
        headers: &[("content-length", "6")],
        size: None,
        ..row
    }
    .check_http1();
}
