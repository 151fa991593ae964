//! A client's `grpc-timeout` as a deadline of the layer: it ends the hold, and never the work.

use std::time::Duration;

use tonic::Request;
use tower_task_tracker::{DrainReport, Limit, Outcome};
use tower_task_tracker::{TaskTrackerLayer, Unfinished, deadline};

use crate::support::{Kind, Seen, Shop, Work, call, order, run, serve};

/// Enough time for the head, which tonic's own timer waits for, even on a busy machine.
const SOON: Duration = Duration::from_secs(1);

/// The same time as a header.
const HEADER: [(&str, &str); 1] = [("grpc-timeout", "1S")];

#[test]
fn a_grpc_timeout_ends_the_hold_and_the_tasks_go_on_whatever_is_said_of_them() {
    let grace = Duration::ZERO;
    let policies = [
        Unfinished::Continue,
        Unfinished::Cancel { grace },
        Unfinished::Abort,
    ];
    for (policy, kind) in policies.iter().flat_map(|p| Kind::ALL.map(|k| (*p, k))) {
        run(async {
            let (work, shop) = kind.audited_later();
            let layer = patient().at_deadline(policy);
            let mut server = serve(layer.deadline_source(deadline::grpc_timeout()), shop).await;

            let mut answer = call(server.address, kind.method(), &HEADER).await;
            assert_eq!(answer.next().await, Seen::message("taken"));
            let trailers = answer.trailers().await;
            work.events().add("trailers");
            assert_eq!(trailers["grpc-status"], "0", "the answer is the handler's");
            assert_closed_by_client(&server.report().await);

            work.open_gate();
            server.handle.wait_idle().await;
            assert_eq!(work.events().so_far(), ["trailers", "task"], "{policy:?}");
        });
    }
}

#[test]
fn a_timeout_that_tonics_client_sets_ends_the_hold_before_the_work_is_done() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let source = deadline::grpc_timeout().margin(Duration::from_millis(1900));
        let mut server = serve(patient().deadline_source(source), shop).await;
        let mut client = server.client().await;

        let mut request = Request::new(order());
        request.set_timeout(Duration::from_secs(2));
        // The client's own timer stops at the head, so the layer ends the call.
        let receipt = client.place(request).await.expect("it succeeds");
        work.events().add("answer");
        assert_eq!(receipt.into_inner().text, "taken");
        assert_closed_by_client(&server.report().await);
        assert_eq!(work.events().so_far(), ["answer"]);
    });
}

#[test]
fn a_grpc_timeout_makes_no_window_shorter_than_the_layer_lets_it() {
    run(async {
        let work = Work::new();
        work.open_gate();
        let task = work.clone();
        let shop = Shop::unary(async move |tasks| {
            tasks.spawn(async move {
                tokio::time::sleep(SOON * 3 / 2).await;
                task.complete().await;
            });
            Ok("taken")
        });
        let source = deadline::grpc_timeout().at_least(Duration::from_secs(10));
        let mut server = serve(patient().deadline_source(source), shop).await;

        let mut answer = call(server.address, "Place", &HEADER).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        answer.trailers().await;
        work.events().add("trailers");
        assert_eq!(work.events().so_far(), ["task", "trailers"]);
        assert_eq!(server.report().await.outcome, Outcome::Drained);
    });
}

fn patient() -> TaskTrackerLayer {
    TaskTrackerLayer::new().drain_timeout(None)
}

fn assert_closed_by_client(report: &DrainReport) {
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!(report.closed_by, Some(Limit::Source("grpc-timeout")));
    assert!(report.held > Duration::ZERO, "{report}");
    let names: Vec<_> = report
        .stragglers
        .iter()
        .map(|task| task.name.as_deref())
        .collect();
    assert_eq!(names, [Some("audit")], "{report}");
}
