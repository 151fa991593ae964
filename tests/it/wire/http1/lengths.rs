//! HTTP/1: how the length of a response decides what is held.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Spawn, Turn};

#[test]
fn http1_exact_length_held_at_the_end_withholds_the_last_data() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two")],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "two",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_exact_length_of_one_frame_held_at_the_end_withholds_it() {
    Row {
        hold: Hold::End,
        steps: &[Data("onetwo")],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\n",
        rest: "onetwo",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_exact_length_fed_later_streams_and_withholds_the_last_data() {
    let row = Row {
        steps: &[Turn, Data("one"), Turn, Data("two")],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "two",
        ..GET
    };
    row.check_http1();
    Row {
        steps: &[Turn, Data("onetwo")],
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\n",
        rest: "onetwo",
        ..row
    }
    .check_http1();
}

#[test]
fn http1_exact_length_whose_first_data_is_not_all_streams_from_that_data_on() {
    Row {
        steps: &[Data("one"), Data(""), Data("two")],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "two",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_exact_length_with_an_empty_frame_after_it_withholds_the_last_data() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two"), Data("")],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
        rest: "two",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_exact_length_whose_last_data_spawns_the_task_withholds_that_data() {
    for hold in [Hold::Auto, Hold::End, Hold::Head] {
        Row {
            hold,
            steps: &[Data("one"), Spawn, Data("two")],
            size: Some(6),
            first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
            rest: "two",
            ..GET
        }
        .check_http1();
    }
}

#[test]
fn http1_exact_length_that_is_sent_in_chunks_withholds_the_last_data_and_the_last_chunk() {
    Row {
        hold: Hold::End,
        headers: &[("transfer-encoding", "chunked")],
        steps: &[Data("one"), Data("two")],
        size: Some(6),
        first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n",
        rest: "3\ntwo\n0\n\n",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_a_content_length_header_over_a_stream_withholds_the_data_that_reaches_it() {
    for hold in [Hold::Auto, Hold::End] {
        Row {
            hold,
            headers: &[("content-length", "6")],
            steps: &[Data("one"), Turn, Data(""), Data("two")],
            first: "HTTP/1.1 200 OK\ncontent-length: 6\n\none",
            rest: "two",
            ..GET
        }
        .check_http1();
    }
}

#[test]
fn http1_a_content_length_header_over_a_longer_stream_withholds_the_data_that_passes_it() {
    Row {
        headers: &[("content-length", "5")],
        steps: &[Data("one"), Data("two"), Data("three")],
        first: "HTTP/1.1 200 OK\ncontent-length: 5\n\none",
        rest: "tw",
        ..GET
    }
    .check_http1();
}

#[test]
fn http1_a_whole_body_that_is_already_there_waits_with_its_head() {
    for hold in [Hold::Auto, Hold::Head] {
        let row = Row {
            hold,
            steps: &[Data("whole")],
            size: Some(5),
            rest: "HTTP/1.1 200 OK\ncontent-length: 5\n\nwhole",
            ..GET
        };
        row.check_http1();
        Row {
            status: 500,
            headers: &[("content-length", "5")],
            rest: "HTTP/1.1 500 Internal Server Error\ncontent-length: 5\n\nwhole",
            ..row
        }
        .check_http1();
    }
}
