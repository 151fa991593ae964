//! The routes: place an order, and show whether its audit entry is written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tower_task_tracker::Tasks;

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(show_order))
        .with_state(Shop::default())
}

#[derive(Debug, Deserialize)]
struct Wanted {
    /// The duration of the audit entry, in milliseconds.
    #[serde(default = "usual")]
    takes: u64,
    /// Answers before the audit entry is written. This breaks the rule, for comparison.
    #[serde(default)]
    untracked: bool,
}

fn usual() -> u64 {
    300
}

async fn place_order(
    State(shop): State<Shop>,
    Query(Wanted { takes, untracked }): Query<Wanted>,
    tasks: Tasks,
) -> String {
    let id = shop.place();
    let audit = shop.audit(id, Duration::from_millis(takes));
    if untracked {
        // The mistake: no response waits for this task.
        #[expect(clippy::disallowed_methods, reason = "for comparison")]
        tokio::spawn(audit);
    } else {
        // If the entry fails or is late, the order is not acknowledged.
        tasks.named("audit").required().spawn(audit);
    }
    format!("order {id}\n")
}

async fn show_order(State(shop): State<Shop>, Path(id): Path<usize>) -> Result<String, StatusCode> {
    match shop.audited(id).ok_or(StatusCode::NOT_FOUND)? {
        Some(after) => Ok(format!("order {id}: audited after {after} ms\n")),
        None => Ok(format!("order {id}: not audited yet\n")),
    }
}

/// The orders of this instance. The first one is number 1.
#[derive(Debug, Clone, Default)]
struct Shop(Arc<Mutex<Vec<Order>>>);

#[derive(Debug)]
struct Order {
    placed: Instant,
    /// The milliseconds from the order to its entry. `None` until the entry is written.
    audited: Option<u128>,
}

impl Shop {
    fn place(&self) -> usize {
        let placed = Instant::now();
        self.with(|orders| {
            orders.push(Order {
                placed,
                audited: None,
            });
            orders.len()
        })
    }

    /// Writes the audit entry: a line of the log, which Cloud Logging keeps.
    async fn audit(self, id: usize, takes: Duration) -> io::Result<()> {
        sleep(takes).await;
        let after = self.with(|orders| {
            let order = &mut orders[id - 1];
            *order.audited.insert(order.placed.elapsed().as_millis())
        });
        writeln!(io::stdout(), "order {id}: audited after {after} ms")
    }

    /// Returns `None` if there is no such order, and `Some(None)` if its entry is not written yet.
    fn audited(&self, id: usize) -> Option<Option<u128>> {
        let index = id.checked_sub(1)?;
        self.with(|orders| Some(orders.get(index)?.audited))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Vec<Order>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
