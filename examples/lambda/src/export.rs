//! A body that starts work while it streams.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Query;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tower_task_tracker::Tasks;

use crate::order::Order;

#[derive(Deserialize)]
pub(crate) struct Export {
    /// The number of the first row's order; the other rows have those that follow.
    id: u32,
    /// For how long each of them is worked on, in milliseconds.
    takes: u64,
    /// How many rows there are.
    rows: u32,
    /// Their work ends in an error.
    #[serde(default)]
    fails: bool,
    /// The body spawns through the `Tasks` that the handler was given, not through those that are
    /// current when it is polled: a streamed body that was posted finds none.
    #[serde(default)]
    by_hand: bool,
}

/// One row an order; that a row was exported is written down by a task that the body spawns.
pub(crate) async fn export(tasks: Tasks, Query(export): Query<Export>) -> Body {
    let Export {
        id,
        takes,
        rows,
        fails,
        by_hand,
    } = export;
    let rows = stream::iter(id..id + rows).map(move |id| {
        let order = Order {
            id,
            takes,
            fails,
            panics: false,
        };
        if by_hand {
            tasks.named("row").required().spawn(order.work());
        } else {
            tower_task_tracker::named("row")
                .required()
                .spawn(order.work());
        }
        Ok::<_, Infallible>(format!("order {id}\n"))
    });
    Body::from_stream(rows)
}
