//! The layer among others: the stack compiles, and the layer holds the response of what it wraps.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::{HeaderValue, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;
use tower_http::catch_panic::{CatchPanicLayer, DefaultResponseForPanic};
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{HttpMakeClassifier, TraceLayer};
use tower_task_tracker::Outcome;

use super::harness::clock::real;
use super::harness::setup::{REQUEST, Setup, TEXT, has_ended};

/// Numbers the requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(u32);

impl MakeRequestId for Count {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        self.0 += 1;
        Some(RequestId::new(HeaderValue::from(self.0)))
    }
}

/// The layers that many services have.
pub(super) fn others() -> (
    SetRequestIdLayer<Count>,
    PropagateRequestIdLayer,
    TraceLayer<HttpMakeClassifier>,
    CatchPanicLayer<DefaultResponseForPanic>,
    CompressionLayer,
    TimeoutLayer,
) {
    let minute = Duration::from_secs(60);
    (
        SetRequestIdLayer::x_request_id(Count::default()),
        PropagateRequestIdLayer::x_request_id(),
        TraceLayer::new_for_http(),
        CatchPanicLayer::new(),
        CompressionLayer::new(),
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, minute),
    )
}

/// The layers above have done their work.
pub(super) fn assert_worked(head: &str) {
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("x-request-id: 1"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn inside_of_other_layers_a_router_is_held() {
    let setup = Setup::default();
    let stack = ServiceBuilder::new()
        .layer(others())
        .layer(setup.layer())
        .service(setup.router());
    assert_worked(&setup.check_held(stack).await);
}

#[tokio::test(start_paused = true)]
async fn outside_of_other_layers_a_router_is_held() {
    let setup = Setup::default();
    let stack = ServiceBuilder::new()
        .layer(setup.layer())
        .layer(others())
        .service(setup.router());
    assert_worked(&setup.check_held(stack).await);
}

#[tokio::test(start_paused = true)]
async fn as_a_layer_of_a_router_and_of_a_route_it_holds() {
    let setup = Setup::default();
    let router = setup.router().layer(others()).layer(setup.layer());
    assert_worked(&setup.check_held(router).await);

    let setup = Setup::default();
    let gate = setup.gate.clone();
    let handler = async move || {
        tower_task_tracker::spawn(gate.task());
        TEXT
    };
    let route = get(handler).layer((others(), setup.layer()));
    assert_worked(&setup.check_held(Router::new().route("/", route)).await);
}

#[test]
fn inside_a_spawned_accept_loop_that_speaks_both_protocols_it_holds() {
    let setup = Setup::default();
    real(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let service = TowerToHyperService::new(setup.router().layer(setup.layer()));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let mut builder = auto::Builder::new(TokioExecutor::new());
                    builder.http1().auto_date_header(false);
                    let served = builder.serve_connection(TokioIo::new(socket), service);
                    drop(served.await);
                });
            }
        });

        let mut client = TcpStream::connect(address).await.expect("it listens");
        let sent = client.write_all(REQUEST.as_bytes()).await;
        sent.expect("the server reads");
        // The handler has run when its task is there: only the task is waited for now.
        setup.gate.reached().await;
        let early = client.try_read(&mut [0; 1]);
        assert!(early.is_err(), "the task is alive: {early:?}");
        assert!(!setup.gate.was_passed(), "the gate is shut");
        setup.gate.open();
        client.readable().await.expect("the response comes");
        assert!(setup.gate.was_passed(), "it came before the task's end");
        let mut arrived = Vec::new();
        while !has_ended(&arrived) {
            let read = client.read_buf(&mut arrived).await.expect("more comes");
            assert_ne!(read, 0, "it is whole");
        }
        assert_eq!(setup.log.report().outcome, Outcome::Drained);
    });
}
