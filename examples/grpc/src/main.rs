//! A gRPC shop on tonic, with its client. Messages come at once, and a call ends when its tasks are done.
//!
//! The shop audits each order, which takes 0.4 s, and sends a mail, which takes 1 s. If the audit fails, the order
//! fails. The mail only has to be sent before the instance may be frozen.
//!
//! ```sh
//! cargo run -p grpc-example -- serve
//! ```
//!
//! A unary call, in another terminal. Its message is sent when the audit is done, and its trailers when the mail is
//! sent. tonic's client returns at the trailers:
//!
//! ```text
//! $ cargo run -q -p grpc-example -- place tea 2
//! 1.00 s  receipt: 2 x tea
//! # the server:
//! audited: 2 x tea
//! mailed: 2 x tea
//! drained: 2 of 2 tasks completed, held 1.0s
//! ```
//!
//! The audit of gold fails, and so does the call. A call that fails by itself keeps its status, and is audited, too:
//!
//! ```text
//! $ cargo run -q -p grpc-example -- place gold
//! 1.00 s  Internal: a task that the response depends on has failed
//! # the server:
//! mailed: 1 x gold
//! drained: 1 of 2 tasks completed, held 1.0s; a required task has failed: audit (failed, 402.1ms: the book is locked)
//!
//! $ cargo run -q -p grpc-example -- place tea 0
//! 0.40 s  InvalidArgument: nothing is ordered
//! # the server:
//! audited: 0 x tea
//! drained: 1 of 1 tasks completed, held 401.3ms
//! ```
//!
//! A stream. Each message comes when it is sent, and the end comes after the tasks, with the status:
//!
//! ```text
//! $ cargo run -q -p grpc-example -- follow tea
//! 0.00 s  1 x tea: taken
//! 0.10 s  1 x tea: packed
//! 0.21 s  1 x tea: sent
//! 1.31 s  the end
//! # the server:
//! audited: 1 x tea
//! mailed: 1 x tea
//! drained: 3 of 3 tasks completed, held 1.0s
//!
//! $ cargo run -q -p grpc-example -- follow gold
//! 0.00 s  1 x gold: taken
//! 0.10 s  1 x gold: packed
//! 0.21 s  1 x gold: sent
//! 1.31 s  Internal: a task that the response depends on has failed
//! # the server:
//! mailed: 1 x gold
//! drained: 2 of 3 tasks completed, held 1.0s; a required task has failed: audit (failed, 401.3ms: the book is locked)
//! ```
//!
//! If a client sets a `grpc-timeout`, the call ends 0.2 s before it, and the tasks go on. If a task that the call
//! depends on is late, the call fails:
//!
//! ```text
//! $ cargo run -q -p grpc-example -- follow tea --timeout 1200
//! 0.00 s  1 x tea: taken
//! 0.10 s  1 x tea: packed
//! 0.20 s  1 x tea: sent
//! 1.00 s  the end
//! # the server:
//! audited: 1 x tea
//! deadline exceeded (grpc-timeout): 2 of 3 tasks completed, held 697.0ms; stragglers: mail (running, 697.0ms)
//! mailed: 1 x tea
//!
//! $ cargo run -q -p grpc-example -- place tea --timeout 400
//! 0.20 s  Internal: a task that the response depends on has failed
//! # the server:
//! deadline exceeded (grpc-timeout): 0 of 2 tasks completed, held 200.8ms; a required task has failed: audit (running, 200.9ms); stragglers: mail (running, 200.9ms)
//! audited: 1 x tea
//! mailed: 1 x tea
//! ```
//!
//! The margin is needed because tonic has timers of its own for a `grpc-timeout`, in the client and around the layer in
//! the server. If such a timer expires before the head comes, the call is `CANCELLED`. The timers do not end a call
//! whose head has been sent. So without the layer's deadline such a call stays held.
//!
//! After Ctrl-C the server waits up to 9 s for the calls that are held, and for the tasks.

mod client;
mod server;
mod shop;

use std::error::Error;
use std::time::Duration;

use clap::{Parser, Subcommand};
use grpc_example::Order;

/// A shop that keeps an audit of what it sells.
#[derive(Debug, Parser)]
struct Args {
    /// The port on 127.0.0.1.
    #[arg(long, default_value_t = 3000, global = true)]
    port: u16,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the shop until Ctrl-C.
    Serve,
    /// Places an order: a unary call.
    Place(What),
    /// Places an order, and follows its progress: a server-streaming call.
    Follow(What),
}

#[derive(Debug, clap::Args)]
struct What {
    item: String,
    #[arg(default_value_t = 1)]
    quantity: u32,
    /// The `grpc-timeout` of the call: how long to wait for its end.
    #[arg(long, value_name = "MILLISECONDS", value_parser = milliseconds)]
    timeout: Option<Duration>,
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Args { port, command } = Args::parse();
    match command {
        Command::Serve => server::serve(port).await,
        Command::Place(what) => client::place(port, what.into_request()).await,
        Command::Follow(what) => client::follow(port, what.into_request()).await,
    }
}

impl What {
    fn into_request(self) -> tonic::Request<Order> {
        let Self {
            item,
            quantity,
            timeout,
        } = self;
        let mut request = tonic::Request::new(Order { item, quantity });
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        request
    }
}
