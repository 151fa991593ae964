//! warp inside the layer: `warp::service` makes a tower service from filters, and the layer wraps it like any other.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_layer::Layer;
use tower_task_tracker::{TaskTrackerLayer, Tasks};
use warp::{Filter, Rejection, Reply};

/// The duration of an audit entry.
pub const AUDIT: Duration = Duration::from_millis(200);

const SHELF: [&str; 2] = ["tea", "honey"];

/// Returns the filters of the shop.
fn routes() -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let order = warp::path!("orders" / String)
        .and(warp::post())
        .and_then(place_order);
    let list = warp::path!("items")
        .and(warp::get())
        // The request's `Tasks` are an extension like any other.
        .and(warp::ext::get())
        .map(|tasks: Tasks| {
            tasks.named("audit").spawn(tokio::time::sleep(AUDIT));
            items()
        });
    order.or(list)
}

async fn place_order(item: String) -> Result<String, Rejection> {
    // A rejected order has an audit entry, too.
    tower_task_tracker::named("audit").spawn(tokio::time::sleep(AUDIT));
    if SHELF.contains(&item.as_str()) {
        Ok(format!("{item} is on its way\n"))
    } else {
        Err(warp::reject::not_found())
    }
}

/// Returns a stream. Its head and data pass at once, and its end is held.
fn items() -> impl Reply {
    let lines = SHELF.map(|item| Ok::<_, Infallible>(format!("{item}\n")));
    warp::reply::stream(stream::iter(lines))
}

/// Serves one connection to its end.
pub async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    tracker: &TaskTrackerLayer,
) {
    let service = TowerToHyperService::new(tracker.layer(warp::service(routes())));
    let connection = Builder::new(TokioExecutor::new());
    let served = connection.serve_connection(TokioIo::new(io), service);
    if let Err(error) = served.await {
        eprintln!("connection: {error}");
    }
}
