//! Events that nobody waits for: a batch of messages from a queue, SQS for instance. When one of the
//! orders fails, or is not done by the deadline, the invocation fails, and the queue sends the batch
//! again.

use std::time::Duration;

use lambda_example::Order;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use tower::ServiceBuilder;
use tower_task_tracker::{TaskScopeLayer, deadline, named};

/// What posting the answer may take.
const MARGIN: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();

    // At the deadline of its invocation Lambda kills the instance.
    let deadline = deadline::unix_millis(|event: &LambdaEvent<Batch>| Some(event.context.deadline))
        .named("lambda")
        .margin(MARGIN);
    let scope = TaskScopeLayer::new()
        // Nobody waits: the work may take all the time that the invocation has.
        .drain_timeout(None)
        .deadline_source(deadline)
        .on_drain(|report| println!("{report}"))
        .fail_with(|report| Error::from(report.to_string()));

    // Around the handler, not by `Runtime::layer`: there the answer is posted before the drain, and an
    // error ends the process.
    let handler = ServiceBuilder::new().layer(scope).service_fn(handle);
    lambda_runtime::run(handler).await
}

/// Takes the batch in a task. When that panics its error is the answer, and the orders that were taken
/// are waited for; a panic of the handler itself would drop the request, and wait for nothing.
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

/// As much of SQS's event as is needed here.
#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    body: String,
}
