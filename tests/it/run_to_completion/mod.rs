//! `RunToCompletionLayer`: a handler whose client has left runs to its end.
//!
//! | module | |
//! |---|---|
//! | `handlers` | A handler whose client has left runs on as a task of its request. |
//! | `layers` | The layer beside other layers and services. |
//! | `spawns` | What a handler that runs on spawns is tracked and not late; what others spawn is late. |
//! | `stopping` | What stops a handler that runs on: no disconnect policy, but a deadline and the end of a shutdown. |

mod handlers;
mod layers;
mod spawns;
mod stopping;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use http::Request;
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, service_fn};
use tower_task_tracker::{RunToCompletionLayer, TaskTrackerLayer};

use crate::support::{Body, after, full};

/// How far handlers have come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps(pub(crate) Arc<AtomicUsize>);

impl Steps {
    pub(crate) fn step(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A handler that takes a second, with one step at its beginning and one at its end.
fn handler(
    layer: &TaskTrackerLayer,
    steps: &Steps,
) -> BoxCloneService<Request<()>, http::Response<tower_task_tracker::ResponseBody<Body>>, Infallible>
{
    let steps = steps.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            let steps = steps.clone();
            async move {
                steps.step();
                after(1000).await;
                steps.step();
                Ok::<_, Infallible>(full("written"))
            }
        }));
    BoxCloneService::new(service)
}

/// Polls a response once, and drops it.
pub(crate) fn poll_and_leave<F: Future>(response: F) {
    let mut response = Box::pin(response);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut cx).is_pending());
}
