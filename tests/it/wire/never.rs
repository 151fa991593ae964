//! `Hold::Never`: nothing waits, and the request is reported when its task has ended.

use tower_task_tracker::Hold;

use super::harness::row::{GET, Row};
use super::harness::script::Step::{Data, Trailers, Turn};

const NEVER: Row = Row {
    hold: Hold::Never,
    ..GET
};

#[test]
fn http1_under_hold_never_nothing_waits() {
    Row {
        steps: &[Data("one"), Turn, Data("two")],
        first: "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n3\ntwo\n0\n\n",
        ..NEVER
    }
    .check_http1();
    Row {
        steps: &[Data("whole")],
        size: Some(5),
        first: "HTTP/1.1 200 OK\ncontent-length: 5\n\nwhole",
        ..NEVER
    }
    .check_http1();
    Row {
        method: "HEAD",
        steps: &[Data("whole")],
        size: Some(5),
        first: "HTTP/1.1 200 OK\ncontent-length: 5\n\n",
        ..NEVER
    }
    .check_http1();
    Row {
        status: 204,
        first: "HTTP/1.1 204 No Content\n\n",
        ..NEVER
    }
    .check_http1();
}

#[test]
fn http2_under_hold_never_nothing_waits() {
    Row {
        steps: &[Data("one"), Turn, Data("two"), Trailers],
        first: "head 200\ndata one\ndata two\ntrailers x-sum=6\nend\n",
        ..NEVER
    }
    .check_http2();
    Row {
        steps: &[Data("whole")],
        size: Some(5),
        first: "head 200 content-length=5\ndata whole\nend\n",
        ..NEVER
    }
    .check_http2();
    Row {
        status: 304,
        first: "head 304\nend\n",
        ..NEVER
    }
    .check_http2();
}
