//! HTTP/1: responses that end with their head. The head is held in every mode that holds.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Trailers, Turn};

const HELD: [Hold; 3] = [Hold::Auto, Hold::Head, Hold::End];

/// Every mode that holds.
fn check_held(row: Row) {
    for hold in HELD {
        Row { hold, ..row }.check_http1();
    }
}

#[test]
fn http1_head_of_a_whole_body_waits_for_the_task() {
    check_held(Row {
        method: "HEAD",
        steps: &[Data("whole")],
        size: Some(5),
        rest: "HTTP/1.1 200 OK\ncontent-length: 5\n\n",
        ..GET
    });
}

#[test]
fn http1_head_of_a_stream_of_known_length_waits_for_the_task() {
    check_held(Row {
        method: "HEAD",
        steps: &[Turn, Data("one"), Turn, Data("two")],
        size: Some(6),
        rest: "HTTP/1.1 200 OK\ncontent-length: 6\n\n",
        ..GET
    });
}

#[test]
fn http1_head_of_a_chunked_stream_waits_for_the_task() {
    check_held(Row {
        method: "HEAD",
        steps: &[Data("one"), Turn, Data("two")],
        rest: "HTTP/1.1 200 OK\n\n",
        ..GET
    });
}

#[test]
fn http1_head_with_a_content_length_header_and_no_body_waits_for_the_task() {
    check_held(Row {
        method: "HEAD",
        headers: &[("content-length", "5")],
        rest: "HTTP/1.1 200 OK\ncontent-length: 5\n\n",
        ..GET
    });
}

#[test]
fn http1_204_waits_with_its_head() {
    let row = Row {
        status: 204,
        rest: "HTTP/1.1 204 No Content\n\n",
        ..GET
    };
    check_held(row);
    check_held(Row {
        size: Some(0),
        ..row
    });
    // A handler should not send one, but its body is never polled.
    check_held(Row {
        steps: &[Data("one"), Turn, Data("two")],
        ..row
    });
}

#[test]
fn http1_304_waits_with_its_head() {
    let row = Row {
        status: 304,
        headers: &[("etag", "x")],
        rest: "HTTP/1.1 304 Not Modified\netag: x\n\n",
        ..GET
    };
    check_held(row);
    check_held(Row {
        steps: &[Turn, Data("one")],
        ..row
    });
}

#[test]
fn http1_an_empty_body_waits_with_its_head() {
    let row = Row {
        size: Some(0),
        rest: "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        ..GET
    };
    check_held(row);
    check_held(Row {
        size: None,
        announced: &[true],
        ..row
    });
    check_held(Row {
        steps: &[Data("")],
        ..row
    });
}

#[test]
fn http1_a_content_length_header_of_zero_waits_with_its_head() {
    let row = Row {
        headers: &[("content-length", "0")],
        rest: "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        ..GET
    };
    check_held(row);
    check_held(Row {
        steps: &[Turn, Data(""), Turn],
        ..row
    });
    check_held(Row {
        steps: &[Data("unwanted"), Trailers],
        ..row
    });
}

#[test]
fn http1_a_stream_that_turns_out_to_be_empty_waits_with_its_last_chunk() {
    let row = Row {
        first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n",
        rest: "0\n\n",
        announced: &[false],
        ..GET
    };
    row.check_http1();
    Row {
        steps: &[Turn, Data(""), Turn],
        announced: &[true, false],
        ..row
    }
    .check_http1();
}
