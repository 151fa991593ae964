//! HTTP/2: responses that end with their head. The head is held in every mode that holds.

use tower_task_tracker::Hold;

use crate::wire::harness::row::{GET, Row};
use crate::wire::harness::script::Step::{Data, Trailers, Turn};

/// Every mode that holds, where no body is sent: while a task is alive the end is on the head's own frame.
fn check_unsent(row: Row) {
    row.check_http2_idle();
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        Row { hold, ..row }.check_http2_held();
    }
}

/// Every mode that holds.
fn check_held(row: Row) {
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        Row { hold, ..row }.check_http2();
    }
}

#[test]
fn http2_an_empty_body_waits_with_its_head() {
    let row = Row {
        size: Some(0),
        rest: "head 200 content-length=0\nend\n",
        announced: &[false],
        ..GET
    };
    check_held(row);
    check_held(Row {
        rest: "head 200\nend\n",
        announced: &[true],
        ..row
    });
}

#[test]
fn http2_a_content_length_header_of_zero_waits_with_its_head() {
    check_held(Row {
        headers: &[("content-length", "0")],
        steps: &[Turn],
        rest: "head 200 content-length=0\nend\n",
        ..GET
    });
}

#[test]
fn http2_trailers_after_a_length_of_zero_are_not_lost() {
    let row = Row {
        size: Some(0),
        steps: &[Trailers],
        rest: "head 200 content-length=0\ntrailers x-sum=6\nend\n",
        ..GET
    };
    check_held(row);
    check_held(Row {
        headers: &[("content-length", "0")],
        size: None,
        ..row
    });
    check_held(Row {
        steps: &[Data(""), Trailers],
        ..row
    });
    check_held(Row {
        steps: &[Turn, Trailers],
        ..row
    });
}

#[test]
fn http2_a_head_answer_waits_for_the_task() {
    check_unsent(Row {
        method: "HEAD",
        headers: &[("content-length", "5")],
        rest: "head 200 content-length=5\nend\n",
        ..GET
    });
}

#[test]
fn http2_a_head_answer_with_a_whole_body_waits_for_the_task_and_the_body_is_left_out() {
    let row = Row {
        method: "HEAD",
        steps: &[Data("whole")],
        size: Some(5),
        // A handler should not send a body here: hyper passes it on, and the client objects.
        rest: "head 200 content-length=5\nreset 1\n",
        ..GET
    };
    row.check_http2_idle();
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        Row {
            hold,
            rest: "head 200 content-length=5\nend\n",
            ..row
        }
        .check_http2_held();
    }
}

#[test]
fn http2_204_waits_with_its_head() {
    let row = Row {
        status: 204,
        rest: "head 204\nend\n",
        ..GET
    };
    check_unsent(row);
}

#[test]
fn http2_304_waits_with_its_head() {
    let row = Row {
        status: 304,
        headers: &[("etag", "x")],
        rest: "head 304 etag=x\nend\n",
        ..GET
    };
    check_unsent(row);
}
