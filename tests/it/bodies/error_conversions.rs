//! `BodyError` where it meets the error types of axum, `axum-extra` and hyper.

use std::convert::Infallible;

use axum::Router;
use axum::middleware::ResponseAxumBodyLayer;
use axum::routing::get;
use axum_extra::middleware::option_layer;
use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::TaskTrackerLayer;

use super::errors::{BoxError, Torn, failing, finds};
use crate::support::{after, request};

/// The layer around a body that fails so, with axum's own bodies around it: what axum-extra's
/// `option_layer` makes, and axum itself.
async fn through_axum<E: Into<BoxError> + Send + 'static>(error: E) -> axum::Error {
    let mut body = Some(failing(error));
    let handler = service_fn(move |_: Request<()>| {
        let body = body.take().expect("it is called once");
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let service = ResponseAxumBodyLayer.layer(TaskTrackerLayer::new().layer(handler));
    let Ok(answer) = service.oneshot(request()).await;
    answer.into_body().collect().await.expect_err("it fails")
}

#[tokio::test]
async fn axums_own_body_takes_every_inner_error() {
    let error = through_axum(Torn).await;
    assert!(finds::<Torn>(&error), "{error:?}");
    let error = through_axum(BoxError::from(Torn)).await;
    assert!(finds::<Torn>(&error), "{error:?}");
    let error = through_axum(axum::Error::new(Torn)).await;
    assert!(finds::<Torn>(&error), "{error:?}");
    let error = through_axum(refused().await).await;
    assert!(finds::<hyper::Error>(&error), "{error:?}");

    let service = TaskTrackerLayer::new().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    let Ok(answer) = ResponseAxumBodyLayer
        .layer(service)
        .oneshot(request())
        .await;
    let body = answer.into_body().collect().await;
    assert!(body.expect("an error is impossible").to_bytes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn axum_extras_option_layer_takes_the_layer() {
    for is_there in [true, false] {
        let layer = is_there.then(TaskTrackerLayer::new);
        let work = || async {
            tower_task_tracker::spawn(after(50));
            "done"
        };
        let app = Router::new()
            .route("/", get(work))
            .layer(option_layer(layer));
        let start = tokio::time::Instant::now();
        let request = Request::new(axum::body::Body::empty());
        let Ok(answer) = app.oneshot(request).await;
        assert_eq!(start.elapsed().as_millis() == 50, is_there, "{is_there}");
        let body = answer.into_body().collect().await.expect("a whole body");
        assert_eq!(body.to_bytes(), "done", "{is_there}");
    }
}

/// An error of hyper's own, from an answer that is none.
async fn refused() -> hyper::Error {
    let (client, server) = tokio::io::duplex(64);
    drop(server);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(client)).await;
    let (mut send, connection) = handshake.expect("there is nothing to wait for");
    tokio::spawn(connection);
    let answer = send.send_request(Request::new(Empty::<Bytes>::new())).await;
    answer.expect_err("no server is there")
}

/// Serves one connection of HTTP/2 with the layer around a handler.
fn serve<H, B, E>(handler: H) -> tokio::io::DuplexStream
where
    H: Service<Request<Incoming>, Response = Response<B>, Error = E> + Clone + Send + 'static,
    H::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
    E: Into<BoxError> + Send + 'static,
{
    let (client, server) = tokio::io::duplex(4096);
    let service = TowerToHyperService::new(TaskTrackerLayer::new().layer(handler));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(server), service);
    tokio::spawn(connection);
    client
}

/// Serves bodies that fail so.
fn serve_failing<E>(error: fn() -> E) -> tokio::io::DuplexStream
where
    E: Into<BoxError> + Send + 'static,
{
    serve(service_fn(move |_: Request<Incoming>| async move {
        Ok::<_, Infallible>(Response::new(failing(error())))
    }))
}

/// What an HTTP/2 client gets when the body fails.
async fn reset(server: tokio::io::DuplexStream) -> Option<Reason> {
    let (mut send, connection) = h2::client::handshake(server).await.expect("h2");
    tokio::spawn(connection);
    let request = Request::get("http://a/").body(()).expect("a request");
    let (answer, _) = send.send_request(request, true).expect("sent");
    // The reset takes the place of what was not sent yet.
    let mut body = match answer.await {
        Ok(answer) => answer.into_body(),
        Err(error) => return error.reason(),
    };
    loop {
        match body.data().await.expect("the body fails") {
            Ok(_) => {}
            Err(error) => return error.reason(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hyper_finds_the_reason_of_a_reset() {
    let calm = || h2::Error::from(Reason::ENHANCE_YOUR_CALM);
    let found = Some(Reason::ENHANCE_YOUR_CALM);
    assert_eq!(reset(serve_failing(calm)).await, found, "as it is");
    let boxed = move || BoxError::from(h2::Error::from(Reason::ENHANCE_YOUR_CALM));
    assert_eq!(reset(serve_failing(boxed)).await, found, "in a box");
    let axum = || axum::Error::new(h2::Error::from(Reason::ENHANCE_YOUR_CALM));
    assert_eq!(reset(serve_failing(axum)).await, found, "in axum's error");
    let torn = reset(serve_failing(|| Torn)).await;
    assert_eq!(torn, Some(Reason::INTERNAL_ERROR), "none is there");

    // A proxy, whose upstream resets the stream: in hyper's error.
    let upstream = serve_failing(calm);
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(upstream));
    let (send, connection) = handshake.await.expect("h2");
    tokio::spawn(connection);
    let proxy = serve(service_fn(move |request: Request<Incoming>| {
        let mut send = send.clone();
        async move {
            send.send_request(request.map(|_| Empty::<Bytes>::new()))
                .await
        }
    }));
    assert_eq!(reset(proxy).await, found, "in hyper's error");
}
