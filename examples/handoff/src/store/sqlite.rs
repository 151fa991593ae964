//! The store in a SQLite file.

use std::str::FromStr;
use std::time::Duration;

use apalis_sqlite::queries::push_tasks;
use apalis_sqlite::{Config, SqliteStorage};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqliteConnection, SqlitePool};

use super::{ACQUIRE_TIMEOUT, NewOrder, Order, QUEUE, job, receipt_state};
use crate::Error;
use crate::mail::Receipt;

/// Not a migration of sqlx: those of the queue are in the same database, and sqlx has one table for all migrations.
const ORDERS: &str = "CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
)";

/// The number of connections. SQLite has one writer at a time.
pub(super) const CONNECTIONS: u32 = 4;

/// The store in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file of a `sqlite:` URL. Creates it, unless the URL has a `mode`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened or written.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str(url)?;
        let creates = !url.contains("mode=");
        Self::open_with(options.create_if_missing(creates)).await
    }

    /// Opens a file with these options.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened or written.
    pub async fn open_with(options: SqliteConnectOptions) -> Result<Self, Error> {
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            // What is written is on the disk when the statement returns. `SqliteStorage::setup` would switch this off
            // on one connection, so it is not called.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        SqliteStorage::<()>::migrations().run(&pool).await?;
        sqlx::query(ORDERS).execute(&pool).await?;
        // Changes nothing. A file that cannot be written is an error now, and not at the first order.
        sqlx::query("UPDATE orders SET sent = 0 WHERE id < 0")
            .execute(&pool)
            .await?;
        Ok(Self { pool })
    }

    /// Returns the connections.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Returns the queue for a worker.
    pub(crate) fn queue(&self, heartbeat: Duration, missed: usize) -> SqliteStorage<Receipt> {
        let config = Config::default()
            .queue(QUEUE)
            .heartbeat_interval(heartbeat)
            .missed_heartbeats(missed);
        SqliteStorage::new(&self.pool).with_config(config)
    }

    pub(super) async fn place(&self, order: &NewOrder) -> Result<i64, Error> {
        let mut connection = self.pool.acquire().await?;
        insert(&mut connection, order).await
    }

    pub(super) async fn place_with_intent(
        &self,
        order: &NewOrder,
        lease: Duration,
    ) -> Result<i64, Error> {
        let mut transaction = self.pool.begin().await?;
        let id = insert(&mut transaction, order).await?;
        let jobs = [job(&order.receipt(id), Some(lease))?];
        push_tasks(&mut *transaction, QUEUE, &jobs).await?;
        transaction.commit().await?;
        Ok(id)
    }

    pub(super) async fn sent(&self, receipt: &Receipt) -> Result<(), Error> {
        let mut connection = self.pool.acquire().await?;
        mark_sent(&mut connection, receipt).await
    }

    pub(super) async fn settle_intent(&self, receipt: &Receipt) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        mark_sent(&mut transaction, receipt).await?;
        let delete = "DELETE FROM Jobs
            WHERE job_type = ? AND idempotency_key = ? AND status = 'Pending'";
        sqlx::query(delete)
            .bind(QUEUE)
            .bind(receipt.key())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    pub(super) async fn push(&self, receipt: &Receipt) -> Result<(), Error> {
        let mut connection = self.pool.acquire().await?;
        push_tasks(&mut *connection, QUEUE, &[job(receipt, None)?]).await?;
        Ok(())
    }

    pub(super) async fn postpone(&self, receipt: &Receipt, by: Duration) -> Result<(), Error> {
        let update = "UPDATE Jobs SET run_at = unixepoch() + ?
            WHERE job_type = ? AND idempotency_key = ?";
        sqlx::query(update)
            .bind(by.as_secs() as i64)
            .bind(QUEUE)
            .bind(receipt.key())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub(super) async fn find(&self, id: i64) -> Result<Option<Order>, Error> {
        let select = "SELECT item, quantity, sent, EXISTS (
                SELECT 1 FROM Jobs
                WHERE job_type = ? AND idempotency_key = 'receipt-' || orders.id AND status <> 'Done'
            ) FROM orders WHERE id = ?";
        let row: Option<(String, u32, bool, bool)> = sqlx::query_as(select)
            .bind(QUEUE)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|(item, quantity, sent, queued)| Order {
            id,
            item,
            quantity,
            receipt: receipt_state(sent, queued),
        }))
    }
}

async fn insert(connection: &mut SqliteConnection, order: &NewOrder) -> Result<i64, Error> {
    let insert = "INSERT INTO orders (item, quantity) VALUES (?, ?) RETURNING id";
    let id = sqlx::query_scalar(insert)
        .bind(&order.item)
        .bind(order.quantity)
        .fetch_one(connection)
        .await?;
    Ok(id)
}

async fn mark_sent(connection: &mut SqliteConnection, receipt: &Receipt) -> Result<(), Error> {
    sqlx::query("UPDATE orders SET sent = 1 WHERE id = ?")
        .bind(receipt.order)
        .execute(connection)
        .await?;
    Ok(())
}
