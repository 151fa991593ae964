//! Events that no client waits for: a batch of messages from a queue, such as SQS. If one of the orders fails, or is
//! not done by the deadline, the invocation fails, and the queue sends the batch again.

use std::time::Duration;

use lambda_example::Order;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use tower::ServiceBuilder;
use tower_task_tracker::{TaskScopeLayer, deadline, named};

/// The time that posting the answer may take.
const MARGIN: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();

    // Lambda kills the instance at the deadline of its invocation.
    let deadline = deadline::unix_millis(|event: &LambdaEvent<Batch>| Some(event.context.deadline))
        .named("lambda")
        .margin(MARGIN);
    let scope = TaskScopeLayer::new()
        // No client waits, so the work may take all the time of the invocation.
        .drain_timeout(None)
        .deadline_source(deadline)
        .on_drain(|report| println!("{report}"))
        .fail_with(|report| Error::from(report.to_string()));

    // Around the handler, not through `Runtime::layer`: that layer would drain after the answer is posted, and its
    // error would end the process.
    let handler = ServiceBuilder::new().layer(scope).service_fn(handle);
    lambda_runtime::run(handler).await
}

/// Takes the batch in a task. If the task panics, the answer is its error, and the layer waits for the orders that were
/// taken. A panic of the handler itself would drop the request, and the layer would not wait.
async fn handle(event: LambdaEvent<Batch>) -> Result<(), Error> {
    named("batch").spawn(take(event.payload)).await?
}

async fn take(batch: Batch) -> Result<(), Error> {
    for message in batch.records {
        let order: Order = serde_json::from_str(&message.body)?;
        named("order").required().spawn(order.work());
        assert!(!order.panics, "order {} makes the handler panic", order.id);
    }
    Ok(())
}

/// The part of an SQS event that is needed here.
#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    body: String,
}
