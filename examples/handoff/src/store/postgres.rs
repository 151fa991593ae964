//! The store in a PostgreSQL server.

use std::time::Duration;

use apalis_postgres::queries::push_tasks;
use apalis_postgres::{Config, PostgresStorage};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};

use super::{ACQUIRE_TIMEOUT, NewOrder, Order, QUEUE, job, receipt_state};
use crate::Error;
use crate::mail::Receipt;

/// Not a migration of sqlx, as in SQLite.
const ORDERS: &str = "CREATE TABLE IF NOT EXISTS orders (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    sent BOOLEAN NOT NULL DEFAULT false
)";

/// Several programs may start at the same moment, and `CREATE TABLE IF NOT EXISTS` does not exclude one another. Any
/// number will do.
const LOCK: i64 = 0x5245_4345_4950_5453;

/// The name of the error of PostgreSQL for a key that is there already.
const UNIQUE_VIOLATION: &str = "23505";

/// The store in a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    /// Connects to the server of a `postgres:` URL.
    ///
    /// # Errors
    ///
    /// Returns an error if the server cannot be reached, or the tables cannot be created.
    pub async fn open(url: &str) -> Result<Self, Error> {
        // A pool reports only that it has no connection. This reports why.
        PgConnection::connect(url).await?.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect(url)
            .await?;
        let mut transaction = pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(ORDERS).execute(&mut *transaction).await?;
        transaction.commit().await?;
        PostgresStorage::<()>::setup(&pool).await?;
        Ok(Self { pool })
    }

    /// Returns the connections.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Returns the queue for a worker.
    pub(crate) fn queue(&self, heartbeat: Duration, missed: usize) -> PostgresStorage<Receipt> {
        let config = Config::default()
            .queue(QUEUE)
            .heartbeat_interval(heartbeat)
            .missed_heartbeats(missed);
        PostgresStorage::new(&self.pool).with_config(config)
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
        let jobs = vec![job(&order.receipt(id), Some(lease))?];
        push_tasks(&mut *transaction, QUEUE, jobs).await?;
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
        let delete = "DELETE FROM apalis.jobs
            WHERE job_type = $1 AND idempotency_key = $2 AND status = 'Pending'";
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
        let pushed = push_tasks(&mut *connection, QUEUE, vec![job(receipt, None)?]).await;
        match pushed {
            // The statement of the queue has no `ON CONFLICT`, unlike that for SQLite.
            Err(apalis_postgres::Error::Database(error)) if is_there(&error) => Ok(()),
            pushed => Ok(pushed?),
        }
    }

    pub(super) async fn postpone(&self, receipt: &Receipt, by: Duration) -> Result<(), Error> {
        let update = "UPDATE apalis.jobs SET run_at = now() + make_interval(secs => $1)
            WHERE job_type = $2 AND idempotency_key = $3";
        sqlx::query(update)
            .bind(by.as_secs_f64())
            .bind(QUEUE)
            .bind(receipt.key())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub(super) async fn find(&self, id: i64) -> Result<Option<Order>, Error> {
        let select = "SELECT item, quantity, sent, EXISTS (
                SELECT 1 FROM apalis.jobs
                WHERE job_type = $1 AND idempotency_key = 'receipt-' || orders.id AND status <> 'Done'
            ) FROM orders WHERE id = $2";
        let row: Option<(String, i64, bool, bool)> = sqlx::query_as(select)
            .bind(QUEUE)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        let Some((item, quantity, sent, queued)) = row else {
            return Ok(None);
        };
        Ok(Some(Order {
            id,
            item,
            quantity: quantity.try_into()?,
            receipt: receipt_state(sent, queued),
        }))
    }
}

fn is_there(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.code().as_deref() == Some(UNIQUE_VIOLATION))
}

async fn insert(connection: &mut PgConnection, order: &NewOrder) -> Result<i64, Error> {
    let insert = "INSERT INTO orders (item, quantity) VALUES ($1, $2) RETURNING id";
    let id = sqlx::query_scalar(insert)
        .bind(&order.item)
        .bind(i64::from(order.quantity))
        .fetch_one(connection)
        .await?;
    Ok(id)
}

async fn mark_sent(connection: &mut PgConnection, receipt: &Receipt) -> Result<(), Error> {
    sqlx::query("UPDATE orders SET sent = true WHERE id = $1")
        .bind(receipt.order)
        .execute(connection)
        .await?;
    Ok(())
}
