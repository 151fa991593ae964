//! A small app, bare or with one of several layers.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use clap::ValueEnum;
use tower_http::add_extension::AddExtensionLayer;
use tower_http::metrics::InFlightRequestsLayer;
use tower_task_tracker::TaskTrackerLayer;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum App {
    Bare,
    AddExtension,
    InFlightRequests,
    TaskTracker,
    /// The layer, and a handler that spawns one empty task.
    OneTask,
}

impl App {
    /// Returns the app's name as an argument of a child process.
    pub(crate) fn argument(self) -> String {
        let value = self.to_possible_value().expect("no app is hidden");
        value.get_name().to_owned()
    }

    /// Returns the app's name in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::AddExtension => "`AddExtensionLayer`",
            Self::InFlightRequests => "`InFlightRequestsLayer`",
            Self::TaskTracker => "`TaskTrackerLayer`",
            Self::OneTask => "`TaskTrackerLayer`, one empty task",
        }
    }

    pub(crate) fn router(self) -> Router {
        let bare = Router::new().route("/", get(answer));
        match self {
            Self::Bare => bare,
            // State that all requests share is usually an `Arc`.
            Self::AddExtension => bare.layer(AddExtensionLayer::new(Arc::new("state"))),
            Self::InFlightRequests => bare.layer(InFlightRequestsLayer::pair().0),
            Self::TaskTracker => bare.layer(TaskTrackerLayer::new()),
            Self::OneTask => Router::new()
                .route("/", get(answer_with_a_task))
                .layer(TaskTrackerLayer::new()),
        }
    }
}

async fn answer() -> &'static str {
    "hello"
}

async fn answer_with_a_task() -> &'static str {
    tower_task_tracker::spawn(async {});
    "hello"
}
