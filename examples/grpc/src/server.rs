//! The server: tonic's own, with the layer around all services.

use std::pin::pin;
use std::time::Duration;

use grpc_example::orders_server::OrdersServer;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_task_tracker::{TaskTrackerLayer, deadline};

use super::Failure;
use super::shop::Shop;

/// The budget of the shutdown, for held calls and for tasks.
const BUDGET: Duration = Duration::from_secs(9);

pub(crate) async fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    // tonic's own timer for a `grpc-timeout` is outside the layer, and would cut a held head. With the margin, the
    // answer leaves before this timer expires, and before the client gives up.
    let source = deadline::grpc_timeout().margin(Duration::from_millis(200));
    let tracker = TaskTrackerLayer::new()
        .deadline_source(source)
        .on_drain(|report| println!("{report}"));
    let handle = tracker.handle();
    let stop = handle.process_tasks().cancellation_token();

    // Without it, the first message would wait for the client's acknowledgement of the head.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .layer(tracker)
        .add_service(OrdersServer::new(Shop))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
    let mut served = pin!(served);
    tokio::select! {
        early = &mut served => return Ok(early?),
        stop = tokio::signal::ctrl_c() => stop?,
    }
    let signal = Instant::now();
    // Cancels the token on which the server stops. No call is held past the budget.
    handle.begin_shutdown(BUDGET);
    // Calls that are held until the end of the budget need a little more time to reach their clients.
    match timeout(BUDGET + Duration::from_millis(500), served).await {
        Ok(served) => served?,
        Err(_) => println!("some connections are still open"),
    }
    let rest = BUDGET.saturating_sub(signal.elapsed());
    println!("{}", handle.shutdown(rest).await);
    Ok(())
}
