//! HTTP/1: bodies of unknown length.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Spawn, Turn};

#[test]
fn http1_chunked_data_passes_at_once_and_the_last_chunk_waits_for_the_task() {
    let row = Row {
        steps: &[Data("one"), Data("two")],
        first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n3\ntwo\n",
        rest: "0\n\n",
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
fn http1_chunked_data_that_comes_later_passes_at_once_too() {
    Row {
        steps: &[Turn, Data("one"), Turn, Turn, Data(""), Data("two"), Turn],
        first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n3\ntwo\n",
        rest: "0\n\n",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_chunked_under_hold_head_waits_with_its_head() {
    Row {
        hold: Hold::Head,
        steps: &[Data("one"), Data("two")],
        rest: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n3\ntwo\n0\n\n",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_chunked_data_that_spawns_the_task_holds_the_last_chunk_in_every_mode() {
    for hold in [Hold::Auto, Hold::End, Hold::Head] {
        Row {
            hold,
            steps: &[Data("one"), Spawn, Data("two")],
            first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n3\ntwo\n",
            rest: "0\n\n",
            ..GET
        }
        .check_http1();
    }
}
