//! The client, which prints what it receives, and when.

use grpc_example::Order;
use grpc_example::orders_client::OrdersClient;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::Failure;

pub(crate) async fn place(port: u16, request: Request<Order>) -> Result<(), Failure> {
    let mut client = connect(port).await?;
    let start = Instant::now();
    match client.place(request).await {
        Ok(receipt) => print(start, &format!("receipt: {}", receipt.into_inner().text)),
        Err(status) => print_error(start, &status),
    }
    Ok(())
}

pub(crate) async fn follow(port: u16, request: Request<Order>) -> Result<(), Failure> {
    let mut client = connect(port).await?;
    let start = Instant::now();
    let mut steps = match client.follow(request).await {
        Ok(steps) => steps.into_inner(),
        Err(status) => {
            print_error(start, &status);
            return Ok(());
        }
    };
    loop {
        match steps.message().await {
            Ok(Some(step)) => print(start, &step.text),
            Ok(None) => break print(start, "the end"),
            Err(status) => break print_error(start, &status),
        }
    }
    Ok(())
}

async fn connect(port: u16) -> Result<OrdersClient<Channel>, tonic::transport::Error> {
    OrdersClient::connect(format!("http://127.0.0.1:{port}")).await
}

fn print_error(start: Instant, status: &Status) {
    print(start, &format!("{:?}: {}", status.code(), status.message()));
}

fn print(start: Instant, what: &str) {
    println!("{:.2} s  {what}", start.elapsed().as_secs_f64());
}
