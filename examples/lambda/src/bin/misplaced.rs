//! The wrong place for `fail_with`: a layer on the runtime drains after the answer was posted. So the error cannot
//! change the answer, and ends the process instead.

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
