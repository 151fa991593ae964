//! tonic's graceful shutdown together with the shutdown of the layer's handle.

use std::time::Duration;

use grpc_example::orders_server::OrdersServer;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tower_task_tracker::{Outcome, TaskTrackerLayer};

use crate::support::{Kind, RawAnswer, Seen, Shop, TestServer, ask, run};

#[test]
fn a_held_call_is_answered_in_full_and_then_the_server_ends() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let (mut server, ended, mut answer) = serve_and_ask(shop).await;

        server.handle.begin_shutdown(Duration::from_secs(10));
        work.open_gate();
        assert_ok_in_trailers(&mut answer).await;
        work.events().add("trailers");
        ended.await.expect("the server has ended");
        work.events().add("served");

        assert_eq!(work.events().so_far(), ["task", "trailers", "served"]);
        assert_eq!(server.report().await.outcome, Outcome::Drained);
        let report = server.handle.shutdown(Duration::from_secs(10)).await;
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn no_call_is_held_past_the_budget() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let (mut server, ended, mut answer) = serve_and_ask(shop).await;

        server.handle.begin_shutdown(Duration::from_millis(50));
        assert_ok_in_trailers(&mut answer).await;
        ended.await.expect("the server has ended");
        let report = server.report().await;
        assert_eq!(report.outcome, Outcome::Shutdown, "{report}");
        assert!(report.held > Duration::ZERO, "{report}");

        let report = server.handle.shutdown(Duration::ZERO).await;
        assert_eq!(report.aborted, 1, "{report}");
        assert!(work.events().so_far().is_empty(), "its work is not done");
    });
}

/// Starts a server that stops on the token of its handle, and makes a call. Returns when the message has come.
async fn serve_and_ask(shop: Shop) -> (TestServer, oneshot::Receiver<()>, RawAnswer) {
    let (has_ended, ended) = oneshot::channel();
    let server = TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
        let stop = layer.handle().process_tasks().cancellation_token();
        let served = Server::builder()
            .layer(layer)
            .add_service(OrdersServer::new(shop))
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
        async {
            let result = served.await;
            // The receiver is gone if the test has failed.
            let _ = has_ended.send(());
            result
        }
    })
    .await;
    let mut answer = ask(&server, Kind::Unary).await;
    assert_eq!(answer.next().await, Seen::message("taken"));
    (server, ended, answer)
}

async fn assert_ok_in_trailers(answer: &mut RawAnswer) {
    let trailers = answer.trailers().await;
    assert_eq!(trailers["grpc-status"], "0");
}
