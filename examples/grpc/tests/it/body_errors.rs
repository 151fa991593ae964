//! How tonic treats a body that fails inside the layer.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use grpc_example::orders_client::OrdersClient;
use h2::Reason;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;
use tonic::{Code, Status};
use tower::{Layer, service_fn};
use tower_task_tracker::TaskTrackerLayer;

use crate::support::{order, run};

type BoxError = Box<dyn Error + Send + Sync>;

/// Returns the status that a client in the same process receives if a body inside the layer fails with this error.
async fn received<E: Into<BoxError> + Send + 'static>(error: E) -> Status {
    let mut frames = Some(tokio_stream::once(Err::<Frame<Bytes>, E>(error)));
    let server = service_fn(move |_: Request<tonic::body::Body>| {
        let body = StreamBody::new(frames.take().expect("it is called once"));
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let mut client = OrdersClient::new(TaskTrackerLayer::new().layer(server));
    let steps = client.follow(order()).await.expect("its head is a success");
    let step = steps.into_inner().message().await;
    step.expect_err("its body fails")
}

#[test]
fn tonic_finds_a_status_in_the_error_of_a_body() {
    run(async {
        let status = || Status::not_found("sold out");
        for (which, received) in [
            ("as it is", received(status()).await),
            ("in a box", received(BoxError::from(status())).await),
            (
                "in axum's error",
                received(axum::Error::new(status())).await,
            ),
        ] {
            assert_eq!(received.code(), Code::NotFound, "{which}: {received:?}");
            assert_eq!(received.message(), "sold out", "{which}");
        }
    });
}

#[test]
fn tonic_finds_the_reason_of_a_reset_in_an_error_of_hypers() {
    run(async {
        let received = received(reset(Reason::ENHANCE_YOUR_CALM).await).await;
        assert_eq!(received.code(), Code::ResourceExhausted, "{received:?}");
    });
}

#[test]
fn tonic_does_not_find_a_bare_error_of_h2() {
    run(async {
        let bare = || h2::Error::from(Reason::ENHANCE_YOUR_CALM);
        let received = received(bare()).await;
        assert_eq!(received.code(), Code::Unknown, "{received:?}");
        // tonic finds an error of h2 only at the head of the chain.
        let without = Status::from_error(bare().into());
        assert_eq!(without.code(), Code::ResourceExhausted, "{without:?}");
        let around = Status::from_error(axum::Error::new(bare()).into());
        assert_eq!(around.code(), Code::Unknown, "axum's error hides it too");
    });
}

/// Returns the error of a body whose stream the server has reset.
async fn reset(reason: Reason) -> hyper::Error {
    let (client, server) = tokio::io::duplex(4096);
    let (head_came, go_on) = oneshot::channel();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(server).await.expect("HTTP/2");
        let request = connection.accept().await.expect("a request");
        let (_, mut respond) = request.expect("a whole request");
        let sent = respond.send_response(Response::new(()), false);
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
        // A reset would replace what was not sent yet.
        go_on.await.expect("the client waits for it");
        sent.expect("the head is sent").send_reset(reason);
    });
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await;
    let (mut send, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::get("http://a/").body(Empty::<Bytes>::new());
    let answer = send.send_request(request.expect("a request")).await;
    let body = answer.expect("a head").into_body();
    head_came.send(()).expect("the server waits for it");
    body.collect().await.expect_err("it is reset")
}
