//! A server and the reports of its requests.

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;

use grpc_example::orders_client::OrdersClient;
use grpc_example::orders_server::OrdersServer;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, TrackerHandle};

use super::Shop;

/// The connections of a test.
pub(crate) type Incoming = TcpIncoming;

/// A server on a port of its own. It runs until its test ends.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) handle: TrackerHandle,
    reports: UnboundedReceiver<DrainReport>,
}

/// Serves the shop in tonic's server, with the layer around it.
pub(crate) async fn serve(layer: TaskTrackerLayer, shop: Shop) -> TestServer {
    TestServer::start(layer, |layer, incoming| {
        Server::builder()
            .layer(layer)
            .add_service(OrdersServer::new(shop))
            .serve_with_incoming(incoming)
    })
    .await
}

impl TestServer {
    /// Starts tonic's server. `serve` decides where the layer is.
    pub(crate) async fn start<S, F, E>(layer: TaskTrackerLayer, serve: S) -> Self
    where
        S: FnOnce(TaskTrackerLayer, Incoming) -> F,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Debug,
    {
        Self::listen(layer, |layer, listener| {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            serve(layer, incoming)
        })
        .await
    }

    /// Starts a server that may be another than tonic's.
    pub(crate) async fn listen<S, F, E>(layer: TaskTrackerLayer, serve: S) -> Self
    where
        S: FnOnce(TaskTrackerLayer, TcpListener) -> F,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Debug,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (reporter, reports) = unbounded_channel();
        let layer = layer.on_drain(move |report| {
            // The receiver is gone if the test has ended.
            let _ = reporter.send(report.clone());
        });
        let handle = layer.handle();
        let served = serve(layer, listener);
        tokio::spawn(async move { served.await.expect("it serves") });
        Self {
            address,
            handle,
            reports,
        }
    }

    pub(crate) async fn client(&self) -> OrdersClient<Channel> {
        let address = format!("http://{}", self.address);
        OrdersClient::connect(address).await.expect("it listens")
    }

    /// Returns the report of the next request that ends.
    pub(crate) async fn report(&mut self) -> DrainReport {
        self.reports.recv().await.expect("the server lives")
    }
}
