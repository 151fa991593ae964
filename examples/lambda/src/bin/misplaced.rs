//! Where `fail_with` does not belong: out there the answer was posted before the drain, so the error
//! cannot change it any more. It ends the process instead.

use lambda_example::Order;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use tower_task_tracker::{DrainReport, TaskScopeLayer, named};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let scope =
        TaskScopeLayer::new().fail_with(|report: &DrainReport| Error::from(report.to_string()));
    Runtime::new(service_fn(take)).layer(scope).run().await
}

async fn take(event: LambdaEvent<Order>) -> Result<(), Error> {
    named("order").required().spawn(event.payload.work());
    Ok(())
}
