//! `deadline_status` in gRPC: it becomes `DEADLINE_EXCEEDED` in a held head, and has no effect on a held end.

use std::time::Duration;

use http::StatusCode;
use tonic::Status;
use tower_task_tracker::{DrainReport, Hold, Outcome, TaskTrackerLayer};

use crate::support::{Kind, Seen, ask, run, serve};

#[test]
fn a_deadline_status_is_deadline_exceeded_where_the_head_is_held() {
    for kind in Kind::ALL {
        run(async {
            let (_work, shop) = kind.audited_later();
            let mut server = serve(hurried().hold(Hold::Head), shop).await;
            let mut answer = ask(&server, kind).await;
            assert_eq!(answer.head.status, 200, "{kind:?}");
            assert_eq!(answer.head.headers["content-type"], "application/grpc");
            assert_eq!(answer.head.headers["grpc-status"], "4");
            assert_eq!(answer.rest().await, [], "{kind:?}");
            assert_late(&server.report().await);
        });
    }
}

/// The messages are sent by then, and the status stays that of the handler.
#[test]
fn a_deadline_status_leaves_a_held_end_as_it_is() {
    for kind in Kind::ALL {
        run(async {
            let (_work, shop) = kind.audited_later();
            let mut server = serve(hurried(), shop).await;
            let mut answer = ask(&server, kind).await;
            assert_eq!(answer.next().await, Seen::message("taken"));
            let trailers = answer.trailers().await;
            assert_eq!(trailers["grpc-status"], "0", "{kind:?}");
            assert_late(&server.report().await);
        });
    }
}

#[test]
fn a_deadline_status_leaves_a_failure_as_it_is() {
    for kind in Kind::ALL {
        run(async {
            let shop = kind.shop(async |tasks| {
                tasks.spawn(std::future::pending::<()>());
                Err(Status::not_found("sold out"))
            });
            let mut server = serve(hurried(), shop).await;
            let answer = ask(&server, kind).await;
            assert_eq!(answer.head.headers["grpc-status"], "5", "{kind:?}");
            assert_late(&server.report().await);
        });
    }
}

fn hurried() -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(Duration::from_millis(20))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
}

fn assert_late(report: &DrainReport) {
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert!(report.held > Duration::ZERO, "{report}");
}
