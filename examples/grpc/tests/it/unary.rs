//! Calls with one answer. tonic's body for it is a stream of unknown length. So the message passes at once, and the
//! trailers wait for the tasks. tonic's client completes the call at the trailers.

use http::Response;
use hyper::body::Body;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tower::util::MapResponseLayer;
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer};

use grpc_example::orders_server::OrdersServer;

use crate::support::{Kind, Seen, Shop, TestServer, Work, ask, order, run, serve};

#[test]
fn the_message_comes_while_tasks_run_and_the_trailers_come_after_them() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let events = work.events();
        let mut server = serve(TaskTrackerLayer::new(), shop).await;

        let mut answer = ask(&server, Kind::Unary).await;
        assert_eq!(answer.next().await, Seen::message("taken"));
        events.add("message");
        work.open_gate();
        let trailers = answer.trailers().await;
        events.add("trailers");

        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(events.so_far(), ["message", "task", "trailers"]);
        let report = server.report().await;
        assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
    });
}

#[test]
fn a_call_of_tonics_client_completes_when_the_tasks_are_done() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;

        work.open_gate();
        let receipt = client.place(order()).await.expect("it succeeds");
        work.events().add("answer");

        assert_eq!(receipt.into_inner().text, "taken");
        assert_eq!(work.events().so_far(), ["task", "answer"]);
    });
}

#[test]
fn a_call_that_streams_its_orders_completes_when_the_tasks_are_done() {
    run(async {
        let (work, shop) = Kind::Unary.audited_later();
        let server = serve(TaskTrackerLayer::new(), shop).await;
        let mut client = server.client().await;

        work.open_gate();
        let orders = tokio_stream::iter([order(), order()]);
        let receipt = client.place_all(orders).await.expect("it succeeds");
        work.events().add("answer");

        assert_eq!(receipt.into_inner().text, "taken");
        assert_eq!(work.events().so_far(), ["task", "answer"]);
    });
}

#[test]
fn with_its_head_held_nothing_of_the_answer_comes_before_the_tasks_are_done() {
    run(async {
        let work = Work::new();
        let task = work.clone();
        let shop = Shop::unary(async move |tasks| {
            tasks.set_hold(Hold::Head);
            tasks.named("audit").spawn(task.complete());
            Ok("taken")
        });
        let server = serve(TaskTrackerLayer::new(), shop).await;

        work.open_gate();
        let mut answer = ask(&server, Kind::Unary).await;
        work.events().add("head");

        assert_eq!(work.events().so_far(), ["task", "head"]);
        assert_eq!(answer.next().await, Seen::message("taken"));
    });
}

/// If this test fails, tonic has changed, and `Hold::Auto` may hold the heads of such answers.
#[test]
fn tonics_body_does_not_know_its_length() {
    run(async {
        let (seen, mut bodies) = mpsc::unbounded_channel();
        let look = MapResponseLayer::new(move |response: Response<tonic::body::Body>| {
            let body = response.body();
            let hint = body.size_hint();
            let facts = (hint.lower(), hint.upper(), body.is_end_stream());
            seen.send(facts).expect("the test waits for it");
            response
        });
        let shop = Shop::unary(async |_| Ok("taken"));
        let server = TestServer::start(TaskTrackerLayer::new(), |layer, incoming| {
            Server::builder()
                .layer(layer)
                .layer(look)
                .add_service(OrdersServer::new(shop))
                .serve_with_incoming(incoming)
        })
        .await;
        ask(&server, Kind::Unary).await;
        assert_eq!(bodies.recv().await, Some((0, None, false)));
    });
}
