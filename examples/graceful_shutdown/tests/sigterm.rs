//! Stops the example as a platform does. A real process under load receives SIGTERM, and no acknowledged order is lost.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// More than any step takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A budget that is longer than the work of the load, and less than [`LIMIT`].
const ENOUGH: Duration = Duration::from_secs(25);

/// A budget that is shorter than the work, and long enough to observe refused connections.
const TOO_LITTLE: Duration = Duration::from_secs(5);

/// The number of orders that are open at any time.
const CUSTOMERS: u32 = 50;

/// The duration of an order that exceeds every budget, in milliseconds.
const TOO_LONG: u64 = 600_000;

#[tokio::test]
async fn axum_under_load_loses_nothing_that_it_has_acknowledged() {
    loses_nothing("axum").await;
}

#[tokio::test]
async fn hyper_under_load_loses_nothing_that_it_has_acknowledged() {
    loses_nothing("hyper").await;
}

#[tokio::test]
async fn axum_lets_go_what_takes_longer_than_the_budget() {
    lets_go_in_time("axum").await;
}

#[tokio::test]
async fn hyper_lets_go_what_takes_longer_than_the_budget() {
    lets_go_in_time("hyper").await;
}

async fn loses_nothing(server: &str) {
    let mut example = Example::start(server, ENOUGH).await;
    let address = example.address;
    // These two connections send nothing while the server stops.
    let _silent = TcpStream::connect(address).await.expect("it listens");
    let mut idle = Connection::http1(address).await.expect("it listens");
    let answer = idle.place(0, 0).await;
    assert_eq!(answer.expect("an answer"), StatusCode::OK);

    let mut shop = Shop::open(address).await;
    for _ in 0..2 * CUSTOMERS {
        shop.next_acknowledged().await;
    }
    shop.closes.store(true, Ordering::SeqCst);
    let signal = Instant::now();
    example.terminate();
    // A second signal changes nothing.
    shop.next_acknowledged().await;
    example.terminate();
    let acknowledged = shop.closed().await;

    let Ended { code, lines } = example.ended().await;
    let took = signal.elapsed();
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(took < ENOUGH, "{took:?}");
    let [report] = &lines[..] else {
        panic!("the report and nothing else: {lines:?}");
    };
    assert!(report.starts_with("shut down after "), "{report}");
    assert!(report.ends_with(" tasks completed"), "{report}");

    for id in acknowledged.into_iter().chain([0]) {
        assert!(example.has(&format!("held-{id}")), "held: {id}");
        assert!(example.has(&format!("detached-{id}")), "detached: {id}");
    }
    // An accepted order whose client has gone is complete, too.
    let written = example.files();
    let [held, detached] = ["held-", "detached-"].map(|kind| {
        let ids = written.iter().filter_map(|name| name.strip_prefix(kind));
        ids.collect::<BTreeSet<_>>()
    });
    assert_eq!(held, detached);
    let flushed = std::fs::read_to_string(example.data.path().join("written"));
    let count = (held.len() + detached.len()).to_string();
    assert_eq!(flushed.expect("the last flush"), count);
}

async fn lets_go_in_time(server: &str) {
    const LONG: u32 = 10;
    let mut example = Example::start(server, TOO_LITTLE).await;
    let address = example.address;
    let mut long = JoinSet::new();
    for id in 0..LONG {
        let connection = Connection::of_customer(id, address).await;
        let mut connection = connection.expect("it listens");
        long.spawn(async move { connection.place(id, TOO_LONG).await });
    }
    // When these orders are answered, the server has read all orders that were sent before.
    let mut connection = Connection::http1(address).await.expect("it listens");
    let short = LONG..LONG + 20;
    for id in short.clone() {
        let answer = connection.place(id, 1).await;
        assert_eq!(answer.expect("an answer"), StatusCode::OK);
    }

    let signal = Instant::now();
    example.terminate();
    example.refuses().await;
    assert!(
        example.is_running(),
        "it refuses because it stops to accept"
    );
    assert!(long.try_join_next().is_none(), "nothing is let go before");
    example.terminate();

    while let Some(answer) = timeout(LIMIT, long.join_next()).await.expect("let go") {
        let status = answer.expect("no panic").expect("an answer, not a reset");
        // Their tasks are required, so unfinished work is not answered with a success.
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let Ended { code, lines } = example.ended().await;
    let took = signal.elapsed();
    assert_eq!(code, Some(1), "{lines:?}");
    assert!((TOO_LITTLE..TOO_LITTLE + LIMIT).contains(&took), "{took:?}");

    // The shutdown closes their windows. It does not drop the server.
    let first = lines.first().expect("a report");
    assert!(first.starts_with("shut down (shutdown): "), "{lines:?}");
    for kind in ["held", "detached"] {
        let named = format!("not done: {kind} (aborted, ");
        let named = lines.iter().filter(|line| line.starts_with(&named));
        assert_eq!(named.count(), LONG as usize, "{kind}: {lines:?}");
    }
    let report = lines.last().expect("a report");
    let counted = format!(", {} aborted; failures: ", 2 * LONG);
    assert!(report.starts_with("shut down after "), "{report}");
    assert!(report.contains(&counted), "{report}");
    for id in short {
        assert!(example.has(&format!("held-{id}")), "held: {id}");
        assert!(example.has(&format!("detached-{id}")), "detached: {id}");
    }
}

/// The load: customers that each place one order after another, until they are refused.
struct Shop {
    customers: JoinSet<()>,
    acknowledged: mpsc::UnboundedReceiver<u32>,
    ids: Vec<u32>,
    /// True once an order may fail.
    closes: Arc<AtomicBool>,
}

impl Shop {
    async fn open(address: SocketAddr) -> Self {
        let (sender, acknowledged) = mpsc::unbounded_channel();
        let mut shop = Self {
            customers: JoinSet::new(),
            acknowledged,
            ids: Vec::new(),
            closes: Arc::default(),
        };
        let next_id = Arc::new(AtomicU32::new(1));
        // Several customers share one connection, to test that its streams end independently.
        let shared = Connection::http2(address).await.expect("it listens");
        for number in 0..CUSTOMERS {
            let customer = Customer {
                number,
                address,
                next_id: next_id.clone(),
                acknowledged: sender.clone(),
                closes: shop.closes.clone(),
            };
            let shared = shared.share();
            shop.customers.spawn(customer.buy(shared));
        }
        shop
    }

    async fn next_acknowledged(&mut self) {
        let id = timeout(LIMIT, self.acknowledged.recv()).await;
        self.ids.push(id.expect("in time").expect("an open shop"));
    }

    /// Waits until every customer is refused. Returns the ids of the acknowledged orders.
    async fn closed(mut self) -> Vec<u32> {
        let mut ids = self.ids;
        while let Some(id) = timeout(LIMIT, self.acknowledged.recv())
            .await
            .expect("an end")
        {
            ids.push(id);
        }
        while let Some(left) = self.customers.join_next().await {
            left.expect("no customer panics");
        }
        ids
    }
}

struct Customer {
    number: u32,
    address: SocketAddr,
    next_id: Arc<AtomicU32>,
    acknowledged: mpsc::UnboundedSender<u32>,
    closes: Arc<AtomicBool>,
}

impl Customer {
    async fn buy(self, shared: Option<Connection>) {
        let mut first = shared.filter(|_| self.number % 3 == 0);
        loop {
            let connection = match first.take() {
                Some(connection) => Ok(connection),
                None => Connection::of_customer(self.number, self.address).await,
            };
            let Ok(mut connection) = connection else {
                self.fails_only_while_it_closes();
                return;
            };
            while self.places_one(&mut connection).await {
                if self.number % 3 == 1 {
                    // A new connection for each order.
                    break;
                }
            }
        }
    }

    async fn places_one(&self, connection: &mut Connection) -> bool {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        // The durations differ, so that the signal finds orders in every state.
        let takes = 50 + u64::from(id % 10) * 10;
        match connection.place(id, takes).await {
            Ok(status) => {
                assert_eq!(status, StatusCode::OK, "order {id}");
                // The receiver is gone if the test has failed.
                let _ = self.acknowledged.send(id);
                true
            }
            Err(_) => {
                self.fails_only_while_it_closes();
                false
            }
        }
    }

    fn fails_only_while_it_closes(&self) {
        assert!(self.closes.load(Ordering::SeqCst), "before the signal");
    }
}

/// A kept-alive connection.
enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Connection {
    /// Opens a connection for a customer. A third of the customers use HTTP/2.
    async fn of_customer(number: u32, address: SocketAddr) -> Result<Self, BoxError> {
        if number % 3 == 0 {
            Self::http2(address).await
        } else {
            Self::http1(address).await
        }
    }

    async fn http1(address: SocketAddr) -> Result<Self, BoxError> {
        let io = TokioIo::new(TcpStream::connect(address).await?);
        let (sender, connection) = http1::handshake(io).await?;
        // The order on this connection returns the connection's errors.
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    async fn http2(address: SocketAddr) -> Result<Self, BoxError> {
        let io = TokioIo::new(TcpStream::connect(address).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        Ok(Self::Http2(sender))
    }

    /// Returns another handle for a concurrent order, if the protocol allows it.
    fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Places an order. If this returns `Ok`, the order is answered. If the status is 200, it is acknowledged.
    async fn place(&mut self, id: u32, takes: u64) -> Result<StatusCode, BoxError> {
        let request = Request::post(format!("http://localhost/orders?id={id}&takes={takes}"));
        let request = request.body(Empty::new())?;
        let answer = async {
            let response = match self {
                Self::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
                Self::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
            };
            let status = response.status();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        let answer: Result<_, hyper::Error> = timeout(LIMIT, answer).await.expect("in time");
        let (status, body) = answer?;
        if status == StatusCode::OK {
            assert_eq!(body, format!("{id}\n"), "the answer to another order");
        }
        Ok(status)
    }
}

/// The example as a process. The drop kills it.
struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    data: TempDir,
}

/// How the process ended by itself.
struct Ended {
    code: Option<i32>,
    lines: Vec<String>,
}

impl Example {
    async fn start(server: &str, budget: Duration) -> Self {
        let program = env!("CARGO_BIN_EXE_graceful-shutdown");
        let data = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(program)
            .args(["--port", "0", "--server", server, "--budget"])
            .arg(budget.as_secs().to_string())
            .arg("--data")
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let mut parse = async |before| {
            let line = timeout(LIMIT, lines.next_line()).await.expect("a line");
            let line = line.expect("it is readable").unwrap_or_default();
            let rest = line.strip_prefix(before).map(str::to_owned);
            rest.unwrap_or_else(|| panic!("{before}: {line}"))
        };
        let address = parse("listening on http://").await;
        let number = parse("to stop it: kill ").await;
        assert_eq!(number.parse().ok(), child.id());
        Self {
            child,
            lines,
            address: address.parse().expect("an address"),
            data,
        }
    }

    fn terminate(&self) {
        // `id` returns `None` after a wait: then the number may belong to another process.
        let number = self.child.id().expect("it runs");
        let number = number.try_into().ok().and_then(Pid::from_raw);
        let sent = kill_process(number.expect("a process"), Signal::TERM);
        sent.expect("the process is alive");
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Waits until the server accepts no more connections.
    async fn refuses(&self) {
        let refused = async {
            while TcpStream::connect(self.address).await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, refused).await.expect("it refuses");
    }

    async fn ended(&mut self) -> Ended {
        let end = async {
            let mut lines = Vec::new();
            while let Some(line) = self.lines.next_line().await.expect("it is readable") {
                lines.push(line);
            }
            let status = self.child.wait().await.expect("it is ours");
            Ended {
                code: status.code(),
                lines,
            }
        };
        timeout(LIMIT, end).await.expect("it ends by itself")
    }

    fn has(&self, name: &str) -> bool {
        let content = std::fs::read_to_string(self.data.path().join(name));
        content.is_ok_and(|content| content == name)
    }

    fn files(&self) -> Vec<String> {
        let path: &Path = self.data.path();
        let entries = path.read_dir().expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.filter_map(|name| name.into_string().ok()).collect()
    }
}
