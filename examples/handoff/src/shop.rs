//! The HTTP service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tower_task_tracker::{
    DrainReport, DrainSettings, TaskTrackerLayer, Tasks, TrackerHandle, Unfinished,
};

use crate::Error;
use crate::args::Args;
use crate::mail::{Mailer, Receipt};
use crate::store::{NewOrder, ReceiptState, Store};

/// How long after its deadline a task may still run, at the most: its destructor, and a clock that is not exact. The
/// queue counts in whole seconds.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// What the handlers need.
#[derive(Debug, Clone)]
struct Shop {
    store: Store,
    mailer: Mailer,
    hands_off: bool,
    /// How long the intent of an outbox is not visible to workers.
    lease: Duration,
}

/// An order as a client sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    item: String,
    quantity: u32,
}

#[derive(Debug, Default, Deserialize)]
struct Options {
    mode: Option<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Outbox,
}

/// An order that was placed. The answer is written once it is known what became of its receipt.
#[derive(Debug, Clone, Copy)]
struct Placed {
    id: i64,
    /// What became of a receipt that was not sent.
    otherwise: Option<ReceiptState>,
}

/// An answer that is no success.
#[derive(Debug)]
struct Refused(StatusCode, String);

/// Returns the service of the shop.
pub fn router(args: &Args, store: Store, mailer: Mailer, handle: &TrackerHandle) -> Router {
    let shop = Shop {
        store,
        mailer,
        hands_off: !args.no_hand_off,
        lease: args.drain_timeout() + LEASE_MARGIN,
    };
    let mut settings = DrainSettings::new().drain_timeout(args.drain_timeout());
    if let Some(grace) = args.hand_off_grace() {
        settings = settings.hand_off_grace(grace);
    }
    let layer = TaskTrackerLayer::new()
        .settings(settings)
        .tracked_by(handle)
        .report_extension(true);
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(show))
        .with_state(shop)
        .layer(layer)
        // Outside of the layer, so that the report is there.
        .layer(map_response(write_answer))
}

/// Stores an order, and spawns the task that sends its receipt.
async fn place(
    State(shop): State<Shop>,
    tasks: Tasks,
    options: Result<Query<Options>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let Query(options) = options.map_err(|error| unprocessable(error.body_text()))?;
    let body = body.map_err(|error| unprocessable(error.body_text()))?;
    let order = parse(&body)?;
    let task = tasks.named("receipt");
    let (id, otherwise) = if options.mode == Some(Mode::Outbox) {
        let id = shop.store.place_with_intent(&order, shop.lease).await?;
        // The worker does what is not done by then. A task that runs on would send the receipt a second time.
        tasks.set_at_deadline(Unfinished::Abort);
        let receipt = order.receipt(id);
        task.fallible().spawn(async move {
            shop.mailer.send(&receipt).await?;
            shop.store.settle_intent(&receipt).await
        });
        (id, Some(ReceiptState::Queued))
    } else {
        let id = shop.store.place(&order).await?;
        let receipt = order.receipt(id);
        let (store, late) = (shop.store.clone(), receipt.clone());
        let send = async move {
            shop.mailer.send(&receipt).await?;
            shop.store.sent(&receipt).await
        };
        if shop.hands_off {
            task.or_hand_off(move |_| async move { store.push(&late).await })
                .spawn(send);
            (id, Some(ReceiptState::Queued))
        } else {
            task.fallible().spawn(send);
            (id, None)
        }
    };
    let mut response = StatusCode::CREATED.into_response();
    response.extensions_mut().insert(Placed { id, otherwise });
    Ok(response)
}

async fn show(
    State(shop): State<Shop>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Refused> {
    let no_order = || Refused(StatusCode::NOT_FOUND, "there is no such order".to_owned());
    let Path(id) = id.map_err(|_| no_order())?;
    let order = shop.store.find(id).await?.ok_or_else(no_order)?;
    Ok(Json(order).into_response())
}

/// Writes the answer to an order from the report of its request.
async fn write_answer(response: Response) -> Response {
    if let Some(placed) = response.extensions().get::<Placed>() {
        let report = response.extensions().get::<Arc<DrainReport>>();
        let is_sent = report.is_some_and(|report| report.completed == 1);
        let receipt = if is_sent {
            Some(ReceiptState::Sent)
        } else {
            placed.otherwise
        };
        if response.status() == StatusCode::CREATED {
            let location = [(header::LOCATION, format!("/orders/{}", placed.id))];
            let answer = Json(json!({ "id": placed.id, "receipt": receipt }));
            return (StatusCode::CREATED, location, answer).into_response();
        }
    }
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        let error = "the receipt was neither sent nor queued in time";
        return Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_owned()).into_response();
    }
    response
}

fn parse(body: &[u8]) -> Result<NewOrder, Refused> {
    let body: Body = serde_json::from_slice(body).map_err(unprocessable)?;
    let Body { item, quantity } = body;
    if item.trim().is_empty() || item.chars().count() > 100 {
        return Err(unprocessable("`item` must have 1 to 100 characters"));
    }
    if quantity == 0 {
        return Err(unprocessable("`quantity` must be at least 1"));
    }
    Ok(NewOrder { item, quantity })
}

fn unprocessable(why: impl fmt::Display) -> Refused {
    Refused(StatusCode::UNPROCESSABLE_ENTITY, why.to_string())
}

impl NewOrder {
    /// Returns the receipt of this order, once it has this number.
    pub fn receipt(&self, id: i64) -> Receipt {
        Receipt {
            order: id,
            item: self.item.clone(),
            quantity: self.quantity,
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        tracing::warn!(%error, "the store has failed");
        Self(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the store cannot be used: {error}"),
        )
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}
