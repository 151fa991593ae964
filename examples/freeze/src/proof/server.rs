//! The server that runs in the instance.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{DrainSettings, TaskTrackerLayer, named};

use super::order::Order;
use super::{BoxError, Setup};

/// The first argument of an instance. The directory of the records and the setup follow.
pub(super) const ARGUMENT: &str = "--freeze-child";

/// The duration of the work of an order: many times the time that the answers of a round take.
const WORK: Duration = Duration::from_millis(300);

/// The duration of the work of an order that takes too long.
const LATE_WORK: Duration = Duration::from_secs(60);

/// How long an answer waits for such work, and how much of this is kept free for hand-offs: many times the time of a
/// write.
const DRAIN: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_millis(1700);

type Receipt = BoxBody<Bytes, Infallible>;

/// If this process was started as an instance, serves until it is killed. Otherwise returns `None`.
pub(crate) fn serve_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let records = PathBuf::from(arguments.next()?);
    let setup = Setup::from_argument(arguments.next()?.to_str()?)?;
    Some(match run(records, setup) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the instance failed: {error}");
            ExitCode::FAILURE
        }
    })
}

#[tokio::main(worker_threads = 2)]
async fn run(records: PathBuf, setup: Setup) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let handler = service_fn(move |request: Request<Incoming>| {
        let response = take(&request, &records, setup);
        async { Ok::<_, Infallible>(response) }
    });
    let mut parent = tokio::io::stdin();
    tokio::select! {
        served = async { match setup {
            Setup::Layer => serve(listener, TaskTrackerLayer::new().layer(handler)).await,
            Setup::HandOff | Setup::NoHandOff => {
                let settings = DrainSettings::new().drain_timeout(DRAIN).hand_off_grace(GRACE);
                serve(listener, TaskTrackerLayer::new().settings(settings).layer(handler)).await
            }
            Setup::Control => serve(listener, handler).await,
        }} => served,
        // The parent never writes to stdin. Stdin ends with the parent, so that no instance outlives it.
        _ = parent.read_u8() => Ok(()),
    }
}

async fn serve<S, B>(listener: TcpListener, service: S) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            // An error of the connection is reported by the client.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Handles a request: starts the work, and answers without awaiting it.
fn take(request: &Request<Incoming>, records: &Path, setup: Setup) -> Response<Receipt> {
    let order = match Order::from_path(request.uri().path()) {
        Some(order) if request.method() == Method::POST => order,
        _ => return respond(StatusCode::NOT_FOUND, Empty::new().boxed()),
    };
    let records = records.to_owned();
    let queue = records.clone();
    let work = move || order.record(&records).expect("the record is written");
    let late = async {
        tokio::time::sleep(LATE_WORK).await;
        Ok::<_, Infallible>(())
    };
    match setup {
        Setup::HandOff => drop(
            named("order")
                .or_hand_off(move |_| async move {
                    let written = tower_task_tracker::spawn_blocking(move || order.enqueue(&queue));
                    written.await.map_err(io::Error::other)?
                })
                .spawn(late),
        ),
        Setup::NoHandOff => drop(named("order").spawn(late)),
        Setup::Layer => drop(tower_task_tracker::spawn(async move {
            tokio::time::sleep(WORK).await;
            tower_task_tracker::spawn_blocking(work);
        })),
        Setup::Control => drop(tokio::spawn(async move {
            tokio::time::sleep(WORK).await;
            tokio::task::spawn_blocking(work);
        })),
    }
    respond(StatusCode::CREATED, receipt(order))
}

/// Returns the body of the answer. For odd orders it is a stream of unknown length, so that the layer holds the end of
/// the answer. For even orders the layer holds the head.
fn receipt(order: Order) -> Receipt {
    let parts = order.receipt();
    if order.0 % 2 == 0 {
        Full::from(parts.concat()).boxed()
    } else {
        let frames = parts.map(|part| Ok(Frame::data(Bytes::from(part))));
        StreamBody::new(futures_util::stream::iter(frames)).boxed()
    }
}

fn respond(status: StatusCode, body: Receipt) -> Response<Receipt> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
