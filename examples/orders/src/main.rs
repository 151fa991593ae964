//! A shop that answers an order when its audit entry and its receipt are in the database.
//!
//! ```sh
//! cargo run -p orders
//! ```
//!
//! Place an order, then place another one and look at it right away:
//!
//! ```sh
//! curl -i -w '\n%{time_total} s\n' http://127.0.0.1:3000/orders \
//!     -H 'content-type: application/json' -d '{"item":"tea","quantity":2}'
//! curl "http://127.0.0.1:3000$(curl -s -o /dev/null -w '%header{location}' \
//!     http://127.0.0.1:3000/orders -H 'content-type: application/json' \
//!     -d '{"item":"tea","quantity":2}')"
//! ```
//!
//! The first command takes 0.2 s, the delay of the audit entry, and the server prints
//! `drained: 2 of 2 tasks completed, held 201.3ms`. In the output of the second command, `audit` and `receipt` are set.
//!
//! Then start the server with `-- --untracked`: the same code with `tokio::spawn`, without the layer. The first command
//! takes a few milliseconds. In the output of the second one, `audit` and `receipt` are `null`. If a platform freezes
//! the instance between requests, they may stay `null`.
//!
//! A bad request is answered with a 4xx status and a message in JSON:
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/orders/0
//! curl -i http://127.0.0.1:3000/orders -H 'content-type: application/json' \
//!     -d '{"item":"tea","quantity":0}'
//! ```
//!
//! Stop the server with Ctrl-C while a request waits. The response is still sent, and the server waits for the tasks of
//! clients that have left. A second Ctrl-C ends the process at once.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path as FilePath, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use clap::Parser;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tower_task_tracker::{TaskTrackerLayer, Tasks};
use tracing_subscriber::EnvFilter;

/// Takes orders on 127.0.0.1, and answers an order when everything about it is on disk.
#[derive(Debug, Parser)]
struct Args {
    /// The port to listen on. 0 selects any free port.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The database file. It is created if it does not exist.
    #[arg(long, value_name = "PATH", default_value_os_t = default_path())]
    db: PathBuf,
    /// The time until an audit entry is written.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 200)]
    audit_ms: u64,
    /// Omits the layer, for comparison: no response waits for the tasks.
    #[arg(long)]
    untracked: bool,
}

fn default_path() -> PathBuf {
    std::env::temp_dir().join("tower-task-tracker-orders.db")
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    start_log();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to stderr, filtered by `RUST_LOG`. tower-task-tracker logs its drain reports as debug events.
fn start_log() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,tower_task_tracker=debug"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

async fn run(args: Args) -> Result<(), Failure> {
    let path = args.db.display();
    let database = Database::open(&args.db)
        .map_err(|error| format!("cannot use the database {path}: {error}"))?;
    let shop = Shop {
        database,
        audit_delay: Duration::from_millis(args.audit_ms),
    };
    let listener = TcpListener::bind(("127.0.0.1", args.port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{}: {error}", args.port))?;
    print_line(format_args!("database {path}"));
    let address = listener.local_addr()?;
    print_line(format_args!("listening on http://{address}"));

    let tracker = TaskTrackerLayer::new().on_drain(|report| print_line(report));
    let handle = tracker.handle();
    let router = if args.untracked {
        routes(post(place_order_untracked)).with_state(shop)
    } else {
        routes(post(place_order)).with_state(shop).layer(tracker)
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(ctrl_c())
        .await?;
    // Every response is sent. Waits for the tasks whose client has gone or whose window has closed.
    handle.wait_idle().await;
    Ok(())
}

/// Waits for the first Ctrl-C. A second one ends the process at once.
async fn ctrl_c() {
    tokio::signal::ctrl_c().await.unwrap_or_default();
    tokio::spawn(async {
        tokio::signal::ctrl_c().await.unwrap_or_default();
        std::process::exit(130);
    });
}

/// Prints one line to stdout. If stdout is closed, the error is ignored.
fn print_line(line: impl Display) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn routes(place: MethodRouter<Shop>) -> Router<Shop> {
    Router::new()
        .route("/orders", place)
        .route("/orders/{id}", get(show_order))
        .fallback(async || not_found("there is no such page"))
        .method_not_allowed_fallback(async || {
            Problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "not a method of this page".into(),
            )
        })
}

#[derive(Clone)]
struct Shop {
    database: Database,
    audit_delay: Duration,
}

#[derive(Deserialize)]
struct NewOrder {
    item: String,
    quantity: u32,
}

#[derive(Clone, Serialize)]
struct Order {
    id: i64,
    item: String,
    quantity: u32,
}

#[derive(Serialize)]
struct OrderStatus {
    #[serde(flatten)]
    order: Order,
    audit: Option<String>,
    receipt: Option<String>,
}

/// Places an order. The layer holds the response until both tasks are done.
async fn place_order(
    State(shop): State<Shop>,
    tasks: Tasks,
    body: Result<Json<NewOrder>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let order = shop.database.insert_order(valid(body)?).await?;
    tasks.named("audit").spawn(audit(shop.clone(), order.id));
    receipts::issue(shop.database, order.clone());
    Ok(created(order))
}

/// The same without this crate: the response is sent before either task is done.
async fn place_order_untracked(
    State(shop): State<Shop>,
    body: Result<Json<NewOrder>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let order = shop.database.insert_order(valid(body)?).await?;
    tokio::spawn(audit(shop.clone(), order.id));
    receipts::issue_untracked(shop.database, order.clone());
    Ok(created(order))
}

async fn show_order(
    State(shop): State<Shop>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Json<OrderStatus>, Problem> {
    let Path(id) = id?;
    let status = shop.database.find_order(id).await?;
    status
        .map(Json)
        .ok_or_else(|| not_found("there is no such order"))
}

fn valid(body: Result<Json<NewOrder>, JsonRejection>) -> Result<NewOrder, Problem> {
    let Json(order) = body?;
    let wrong = match &order {
        NewOrder { item, .. } if item.trim().is_empty() => "`item` is empty",
        NewOrder { quantity: 0, .. } => "`quantity` is 0",
        _ => return Ok(order),
    };
    Err(Problem(StatusCode::UNPROCESSABLE_ENTITY, wrong.into()))
}

fn created(order: Order) -> impl IntoResponse {
    let location = [(LOCATION, format!("/orders/{}", order.id))];
    (StatusCode::CREATED, location, Json(order))
}

async fn audit(shop: Shop, id: i64) {
    tokio::time::sleep(shop.audit_delay).await;
    if let Err(error) = shop.database.write_audit(id).await {
        tracing::error!(id, %error, "an audit entry is lost");
    }
}

/// Stands in for a library: its functions do not receive the request's `Tasks`.
mod receipts {
    use super::{Database, Duration, Order};

    pub(super) fn issue(database: Database, order: Order) {
        tower_task_tracker::named("receipt").spawn_blocking(move || render(&database, &order));
    }

    pub(super) fn issue_untracked(database: Database, order: Order) {
        tokio::task::spawn_blocking(move || render(&database, &order));
    }

    fn render(database: &Database, order: &Order) {
        // Stands in for the time that typesetting takes.
        std::thread::sleep(Duration::from_millis(50));
        let receipt = format!("{} x {}, with thanks", order.quantity, order.item);
        if let Err(error) = database.write_receipt(order.id, &receipt) {
            tracing::error!(id = order.id, %error, "a receipt is lost");
        }
    }
}

#[derive(Clone)]
struct Database(Arc<Mutex<Connection>>);

impl Database {
    fn open(path: &FilePath) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        // Writes the version each time: so a database that cannot be written is an error here, and not at the first
        // order.
        connection.execute_batch(
            "pragma journal_mode = wal;
             begin immediate;
             pragma user_version = 1;
             create table if not exists orders (id integer primary key, item text, quantity integer);
             create table if not exists audits (id integer primary key, entry text);
             create table if not exists receipts (id integer primary key, receipt text);
             commit;",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    async fn insert_order(&self, NewOrder { item, quantity }: NewOrder) -> Result<Order, Failure> {
        self.run(move |connection| {
            let sql = "insert into orders (item, quantity) values (?1, ?2)";
            connection.execute(sql, (&item, quantity))?;
            let id = connection.last_insert_rowid();
            Ok(Order { id, item, quantity })
        })
        .await
    }

    async fn find_order(&self, id: i64) -> Result<Option<OrderStatus>, Failure> {
        let sql = "select item, quantity, entry, receipt from orders
                   left join audits using (id) left join receipts using (id) where id = ?1";
        self.run(move |connection| {
            let status = connection.query_row(sql, [id], |row| {
                let (item, quantity) = (row.get(0)?, row.get(1)?);
                Ok(OrderStatus {
                    order: Order { id, item, quantity },
                    audit: row.get(2)?,
                    receipt: row.get(3)?,
                })
            });
            status.optional()
        })
        .await
    }

    async fn write_audit(&self, id: i64) -> Result<(), Failure> {
        let sql = "insert into audits values (?1, 'ordered, noted at ' || datetime('now'))";
        self.run(move |connection| connection.execute(sql, [id]).map(drop))
            .await
    }

    fn write_receipt(&self, id: i64, receipt: &str) -> rusqlite::Result<()> {
        let sql = "insert into receipts values (?1, ?2)";
        self.with(|connection| connection.execute(sql, (id, receipt)).map(drop))
    }

    /// Runs `f` on a blocking thread, because `SQLite` waits for the disk.
    async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let database = self.clone();
        Ok(tokio::task::spawn_blocking(move || database.with(f)).await??)
    }

    fn with<T>(&self, f: impl FnOnce(&Connection) -> T) -> T {
        f(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// An error response: this status, with the message as JSON.
struct Problem(StatusCode, String);

fn not_found(message: &str) -> Problem {
    Problem(StatusCode::NOT_FOUND, message.into())
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<Failure> for Problem {
    fn from(error: Failure) -> Self {
        tracing::error!(%error, "a request failed");
        Self(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the database failed".into(),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        (status, Json(json!({ "error": message }))).into_response()
    }
}
