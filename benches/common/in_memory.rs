//! A server and its client in one process: the program whose instructions are counted.

use std::env;
use std::path::Path;

use axum::Router;
use clap::Subcommand;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

use crate::BoxError;
use crate::app::App;
use crate::callgrind::{self, Requests};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Child {
    /// Serves some requests and ends. The parent runs this under valgrind.
    Serve {
        requests: usize,
        /// If there is none, the client gets a constant answer without a server.
        app: Option<App>,
    },
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n";

/// As long as the answer of a server, because a date always has the same length.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 5\r\ndate: Sat, 21 Nov 2026 17:09:20 GMT\r\n\r\nhello";

/// More than is ever in transit.
const BUFFER: usize = 4096;

const REQUESTS: Requests = Requests {
    few: 1_000,
    many: 6_000,
};

/// Runs this program as a server under callgrind, and returns the instructions of one request. Without an app, these
/// are the instructions of the client.
pub(crate) fn instructions_a_request(app: Option<App>) -> Result<f64, BoxError> {
    REQUESTS.instructions_of_one(|requests| {
        let mut command = callgrind::command(Path::new("/dev/null"));
        command
            .arg(env::current_exe()?)
            .args(["serve", &requests.to_string()])
            .args(app.map(App::argument));
        Ok(command)
    })
}

pub(crate) fn serve(child: Child) -> Result<(), BoxError> {
    let Child::Serve { requests, app } = child;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (near, far) = duplex(BUFFER);
        match app {
            Some(app) => tokio::spawn(answer(far, app.router())),
            None => tokio::spawn(answer_constantly(far)),
        };
        // In a task: waking the root future of `block_on` costs more.
        tokio::spawn(send_requests(near, requests)).await?
    })
}

async fn send_requests(mut server: DuplexStream, requests: usize) -> Result<(), BoxError> {
    let mut answer = [0; ANSWER.len()];
    for _ in 0..requests {
        server.write_all(REQUEST).await?;
        server.read_exact(&mut answer).await?;
        if !(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nhello")) {
            return Err(String::from_utf8_lossy(&answer).into());
        }
    }
    Ok(())
}

async fn answer(client: DuplexStream, app: Router) -> Result<(), BoxError> {
    // As `axum::serve` does. Without it, each request would build its route and call the layer.
    let app = app.with_state(());
    let service = TowerToHyperService::new(app);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(client), service);
    Ok(connection.await?)
}

async fn answer_constantly(mut client: DuplexStream) -> Result<(), BoxError> {
    let mut request = [0; REQUEST.len()];
    loop {
        client.read_exact(&mut request).await?;
        client.write_all(ANSWER).await?;
    }
}
