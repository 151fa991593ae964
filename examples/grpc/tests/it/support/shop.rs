//! A shop whose only call is handled by the test.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use grpc_example::orders_server::Orders;
use grpc_example::{Order, Receipt, Step};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use tower_task_tracker::Tasks;

/// The steps that a client follows.
type Steps = Pin<Box<dyn Stream<Item = Result<Step, Status>> + Send>>;

/// Returns a stream of these steps, all of which are ready at once. A step may be a failure.
pub(crate) fn ready_steps<const N: usize>(
    steps: [Result<&'static str, Status>; N],
) -> impl Stream<Item = Result<Step, Status>> {
    tokio_stream::iter(steps.map(|step| step.map(|text| Step { text: text.into() })))
}

/// Returns the order that a client places.
pub(crate) fn order() -> Order {
    Order {
        item: "tea".into(),
        quantity: 2,
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;
type Handler<T> = Box<dyn FnOnce(Tasks) -> Answer<T> + Send>;

/// A shop that answers one call, and panics at a second.
pub(crate) struct Shop {
    unary: Mutex<Option<Handler<&'static str>>>,
    streaming: Mutex<Option<Handler<Steps>>>,
}

impl Shop {
    /// Returns a shop for calls with one answer.
    pub(crate) fn unary<F, A>(handler: F) -> Self
    where
        F: FnOnce(Tasks) -> A + Send + 'static,
        A: Future<Output = Result<&'static str, Status>> + Send + 'static,
    {
        Self {
            unary: Mutex::new(Some(Box::new(|tasks| Box::pin(handler(tasks))))),
            streaming: Mutex::new(None),
        }
    }

    /// Returns a shop for calls whose answer is a stream.
    pub(crate) fn streaming<F, A, S>(handler: F) -> Self
    where
        F: FnOnce(Tasks) -> A + Send + 'static,
        A: Future<Output = Result<S, Status>> + Send + 'static,
        S: Stream<Item = Result<Step, Status>> + Send + 'static,
    {
        let handler: Handler<Steps> = Box::new(|tasks| {
            let answer = handler(tasks);
            Box::pin(async { Ok(Box::pin(answer.await?) as Steps) })
        });
        Self {
            unary: Mutex::new(None),
            streaming: Mutex::new(Some(handler)),
        }
    }

    async fn answer(&self, tasks: Option<Tasks>) -> Result<Response<Receipt>, Status> {
        let text = taken(&self.unary)(found(tasks)).await?;
        Ok(Response::new(Receipt { text: text.into() }))
    }

    async fn stream(&self, tasks: Option<Tasks>) -> Result<Response<Steps>, Status> {
        let steps = taken(&self.streaming)(found(tasks)).await?;
        Ok(Response::new(steps))
    }
}

/// Returns the request's `Tasks`, which tonic passes on in the extensions of the HTTP request. Without the layer there
/// are none, and the tasks of a new handle are used.
fn found(tasks: Option<Tasks>) -> Tasks {
    tasks.unwrap_or_else(|| tower_task_tracker::TrackerHandle::new().process_tasks())
}

fn taken<T>(handler: &Mutex<Option<Handler<T>>>) -> Handler<T> {
    let handler = handler.lock().expect("no panic holds this lock").take();
    handler.expect("one call, of this kind")
}

#[tonic::async_trait]
impl Orders for Shop {
    async fn place(&self, request: Request<Order>) -> Result<Response<Receipt>, Status> {
        self.answer(request.extensions().get().cloned()).await
    }

    type FollowStream = Steps;

    async fn follow(&self, request: Request<Order>) -> Result<Response<Steps>, Status> {
        self.stream(request.extensions().get().cloned()).await
    }

    async fn place_all(
        &self,
        request: Request<Streaming<Order>>,
    ) -> Result<Response<Receipt>, Status> {
        let tasks = request.extensions().get().cloned();
        let mut orders = request.into_inner();
        while orders.try_next().await?.is_some() {}
        self.answer(tasks).await
    }

    type FollowAllStream = Steps;

    async fn follow_all(
        &self,
        request: Request<Streaming<Order>>,
    ) -> Result<Response<Steps>, Status> {
        self.stream(request.extensions().get().cloned()).await
    }
}
