//! HTTP/2: how the length of a response decides what is held.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Spawn, Turn};

const STREAMS: [Hold; 2] = [Hold::Auto, Hold::End];

#[test]
fn http2_data_of_unknown_length_passes_at_once_and_the_end_waits_for_the_task() {
    for hold in STREAMS {
        Row {
            hold,
            steps: &[Data("one"), Turn, Data("two")],
            first: "head 200\ndata one\ndata two\n",
            rest: "end\n",
            ..GET
        }
        .check_http2();
    }
}

#[test]
fn http2_under_hold_head_everything_waits_with_the_head() {
    Row {
        hold: Hold::Head,
        steps: &[Data("one"), Turn, Data("two")],
        rest: "head 200\ndata one\ndata two\nend\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_exact_length_held_at_the_end_withholds_the_last_data() {
    Row {
        hold: Hold::End,
        steps: &[Data("one"), Data("two")],
        size: Some(6),
        first: "head 200 content-length=6\ndata one\n",
        rest: "data two\nend\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_exact_length_fed_later_streams_and_withholds_the_last_data() {
    Row {
        steps: &[Turn, Data("one"), Turn, Data("two")],
        size: Some(6),
        first: "head 200 content-length=6\ndata one\n",
        rest: "data two\nend\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_a_content_length_header_over_a_stream_withholds_the_data_that_reaches_it() {
    Row {
        headers: &[("content-length", "6")],
        steps: &[Data("one"), Turn, Data("two")],
        first: "head 200 content-length=6\ndata one\n",
        rest: "data two\nend\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_a_whole_body_that_is_already_there_waits_with_its_head() {
    for hold in [Hold::Auto, Hold::Head] {
        Row {
            hold,
            steps: &[Data("whole")],
            size: Some(5),
            rest: "head 200 content-length=5\ndata whole\nend\n",
            ..GET
        }
        .check_http2();
    }
}

#[test]
fn http2_empty_frames_pass_in_their_order() {
    Row {
        steps: &[Data("one"), Data(""), Data("two"), Data(""), Turn],
        // The client does not see empty ones, but the bytes are compared too.
        first: "head 200\ndata one\ndata two\n",
        rest: "end\n",
        ..GET
    }
    .check_http2();
}

#[test]
fn http2_data_that_spawns_the_task_holds_the_end_in_every_mode() {
    for hold in [Hold::Auto, Hold::End, Hold::Head] {
        let row = Row {
            hold,
            steps: &[Data("one"), Spawn, Data("two")],
            first: "head 200\ndata one\ndata two\n",
            rest: "end\n",
            ..GET
        };
        row.check_http2();
        Row {
            size: Some(6),
            first: "head 200 content-length=6\ndata one\n",
            rest: "data two\nend\n",
            ..row
        }
        .check_http2();
    }
}
