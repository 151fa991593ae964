//! The layer does not change a call without tasks: neither its head, nor its frames, nor its status.

use http::{HeaderMap, StatusCode};
use tonic::Status;
use tonic::transport::Server;
use tower_task_tracker::TaskTrackerLayer;

use grpc_example::orders_server::OrdersServer;

use crate::support::{Kind, Seen, Shop, TestServer, ask, ready_steps, run, serve};

#[test]
fn a_call_that_succeeds_is_the_same_with_the_layer() {
    assert_same(Kind::Unary, || Shop::unary(async |_| Ok("taken")));
    assert_same(Kind::Streaming, || {
        Shop::streaming(async |_| Ok(ready_steps([Ok("taken"), Ok("sent")])))
    });
}

#[test]
fn a_stream_without_messages_is_the_same_with_the_layer() {
    assert_same(Kind::Streaming, || {
        Shop::streaming(async |_| Ok(ready_steps([])))
    });
}

#[test]
fn a_call_that_fails_at_once_is_the_same_with_the_layer() {
    for kind in Kind::ALL {
        assert_same(kind, || {
            kind.shop(async |_| Err(Status::not_found("sold out")))
        });
    }
}

#[test]
fn a_stream_that_fails_in_the_middle_is_the_same_with_the_layer() {
    assert_same(Kind::Streaming, || {
        Shop::streaming(async |_| {
            Ok(ready_steps([
                Ok("taken"),
                Err(Status::not_found("sold out")),
            ]))
        })
    });
}

fn assert_same(kind: Kind, shop: impl Fn() -> Shop) {
    run(async {
        let layered = serve(TaskTrackerLayer::new(), shop()).await;
        let bare = shop();
        let bare = TestServer::start(TaskTrackerLayer::new(), |_, incoming| {
            Server::builder()
                .add_service(OrdersServer::new(bare))
                .serve_with_incoming(incoming)
        })
        .await;
        let expected = whole(&bare, kind).await;
        let status = [&expected.1]
            .into_iter()
            .chain(expected.2.iter().filter_map(|seen| match seen {
                Seen::Trailers(trailers) => Some(trailers),
                _ => None,
            }))
            .find_map(|headers| headers.get("grpc-status"));
        assert!(status.is_some(), "a status in {expected:?}");
        assert_eq!(whole(&layered, kind).await, expected);
    });
}

async fn whole(server: &TestServer, kind: Kind) -> (StatusCode, HeaderMap, Vec<Seen>) {
    let mut answer = ask(server, kind).await;
    let mut headers = answer.head.headers.clone();
    headers.remove("date");
    (answer.head.status, headers, answer.rest().await)
}
