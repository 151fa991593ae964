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
    /// The number of the order of the first row. The other rows have the numbers that follow.
    id: u32,
    /// The duration of the work of each row, in milliseconds.
    takes: u64,
    /// The number of rows.
    rows: u32,
    /// Whether the work of the rows ends in an error.
    #[serde(default)]
    fails: bool,
    /// Whether the body spawns through the `Tasks` of the handler. Otherwise it spawns through the current `Tasks` when
    /// it is polled, and a streamed body in `posted` has none.
    #[serde(default)]
    by_hand: bool,
}

/// Streams one row for each order. For each row the body spawns a task, which records the export of the row.
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
