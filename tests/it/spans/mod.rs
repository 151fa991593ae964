//! Spans: each task runs in a span of its own (`TaskSpans::Child`, `Linked`, `Inherit`). The layer drops its
//! reference to the request's span once the response is out and no task is waited for.
//!
//! | module | |
//! |---|---|
//! | `closed_at_wake` | Spans have closed before the response or the handle that waits is woken. |
//! | `kept_parts` | A kept part of a request does not keep the request's span open. |
//! | `open` | How long the request's span is open. |
//! | `stragglers` | A straggler under `TaskSpans::Child` keeps the request's span open; a linked or detached task does not. |
//! | `tasks` | The spans that tasks run in: `TaskSpans::Child`, `Linked` and `Inherit`. |

mod closed_at_wake;
mod kept_parts;
mod open;
mod stragglers;
mod tasks;

use std::any::Any;

use tower::{Service, ServiceExt};
use tracing::{Instrument, info_span};

use crate::support::Slot;

type Kept = Slot<Box<dyn Any + Send>>;

/// Serves a request in a span `request` that nothing but the layer keeps once this has ended.
async fn serve<S, R>(service: S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    service
        .oneshot(request)
        .instrument(info_span!("request"))
        .await
}
