//! The orders and the queue, both in one database.

mod postgres;
mod sqlite;

use std::time::Duration;

use apalis::prelude::{Task, TaskBuilder};
use serde::Serialize;

pub use self::postgres::PostgresStore;
pub use self::sqlite::SqliteStore;
use crate::Error;
use crate::mail::Receipt;

/// The name of the queue.
pub const QUEUE: &str = "receipts";

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// An order that is not stored yet.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// What is ordered.
    pub item: String,
    /// How many of it.
    pub quantity: u32,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// What was ordered.
    pub item: String,
    /// How many of it.
    pub quantity: u32,
    /// `None` if the receipt was neither sent nor queued. The client then got a failure.
    pub receipt: Option<ReceiptState>,
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptState {
    /// The mail service has it.
    Sent,
    /// It is in the queue.
    Queued,
}

/// The orders and the queue.
#[derive(Debug, Clone)]
pub enum Store {
    /// In a file of this machine.
    Sqlite(SqliteStore),
    /// In a server, for several machines.
    Postgres(PostgresStore),
}

/// Calls a method of the store that is used.
macro_rules! either {
    ($store:expr, $each:ident => $call:expr) => {
        match $store {
            Store::Sqlite($each) => $call,
            Store::Postgres($each) => $call,
        }
    };
}
pub(crate) use either;

impl Store {
    /// Opens a store, and creates its tables if they are not there.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL has another scheme, or if the store cannot be reached or written.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let opened = match url.split_once(':') {
            Some(("sqlite", _)) => SqliteStore::open(url).await.map(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => {
                PostgresStore::open(url).await.map(Self::Postgres)
            }
            _ => Err("the URL begins neither with `sqlite:` nor with `postgres:`".into()),
        };
        opened.map_err(|error| format!("cannot open the store {url}: {error}").into())
    }

    /// Stores an order, and returns its number.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached or written.
    pub async fn place(&self, order: &NewOrder) -> Result<i64, Error> {
        either!(self, store => store.place(order).await)
    }

    /// Stores an order, and puts its receipt into the queue in the same transaction. No worker takes it during the
    /// `lease`. Returns the number of the order.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached or written.
    pub async fn place_with_intent(&self, order: &NewOrder, lease: Duration) -> Result<i64, Error> {
        either!(self, store => store.place_with_intent(order, lease).await)
    }

    /// Notes that a receipt was sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached or written.
    pub async fn sent(&self, receipt: &Receipt) -> Result<(), Error> {
        either!(self, store => store.sent(receipt).await)
    }

    /// Notes that a receipt was sent, and takes it out of the queue in the same transaction, unless a worker has it.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached or written.
    pub async fn settle_intent(&self, receipt: &Receipt) -> Result<(), Error> {
        either!(self, store => store.settle_intent(receipt).await)
    }

    /// Puts a receipt into the queue. If it is there already, nothing changes.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached or written.
    pub async fn push(&self, receipt: &Receipt) -> Result<(), Error> {
        either!(self, store => store.push(receipt).await)
    }

    /// Lets no worker take a receipt again before this time has passed.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached or written.
    pub async fn postpone(&self, receipt: &Receipt, by: Duration) -> Result<(), Error> {
        either!(self, store => store.postpone(receipt, by).await)
    }

    /// Returns an order, or `None` if there is none with this number.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached.
    pub async fn find(&self, id: i64) -> Result<Option<Order>, Error> {
        either!(self, store => store.find(id).await)
    }

    /// Closes all connections. The caller does this last, because a hand-off needs one.
    pub async fn close(&self) {
        either!(self, store => store.pool().close().await);
    }
}

/// Returns the job of a receipt. `lease`: no worker takes it during that time.
fn job(receipt: &Receipt, lease: Option<Duration>) -> Result<Task<Vec<u8>>, Error> {
    let job = TaskBuilder::new(serde_json::to_vec(receipt)?)
        .idempotency_key(receipt.key())
        // Without a limit: the count of a failed job is a 32-bit number in PostgreSQL.
        .max_attempts(i32::MAX as usize);
    let job = match lease {
        Some(lease) => job.run_after(lease),
        None => job,
    };
    Ok(job.build())
}

/// Returns the state of a receipt. `queued`: it is in the queue, and no worker has sent it.
fn receipt_state(sent: bool, queued: bool) -> Option<ReceiptState> {
    match (sent, queued) {
        (true, _) => Some(ReceiptState::Sent),
        (false, true) => Some(ReceiptState::Queued),
        (false, false) => None,
    }
}
