//! The service: its answers, and the work that goes on after them.

use std::time::Duration;

use grpc_example::orders_server::Orders;
use grpc_example::{Order, Receipt, Step};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub(crate) struct Shop;

/// The progress of an order, as a client follows it.
type Steps = ReceiverStream<Result<Step, Status>>;

#[tonic::async_trait]
impl Orders for Shop {
    async fn place(&self, request: Request<Order>) -> Result<Response<Receipt>, Status> {
        let order = request.into_inner();
        // A call that fails is audited, too.
        finish(order.clone());
        if order.quantity == 0 {
            return Err(Status::invalid_argument("nothing is ordered"));
        }
        Ok(Response::new(receipt(&[order])))
    }

    type FollowStream = Steps;

    /// Streams the steps as they happen. A tracked task sends them.
    async fn follow(&self, request: Request<Order>) -> Result<Response<Steps>, Status> {
        let (steps, receiver) = mpsc::channel(4);
        let order = request.into_inner();
        tower_task_tracker::named("order").spawn(async move { carry_out(order, &steps).await });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn place_all(
        &self,
        request: Request<Streaming<Order>>,
    ) -> Result<Response<Receipt>, Status> {
        let mut coming = request.into_inner();
        let mut orders = Vec::new();
        while let Some(order) = coming.message().await? {
            finish(order.clone());
            orders.push(order);
        }
        Ok(Response::new(receipt(&orders)))
    }

    type FollowAllStream = Steps;

    async fn follow_all(
        &self,
        request: Request<Streaming<Order>>,
    ) -> Result<Response<Steps>, Status> {
        let (steps, receiver) = mpsc::channel(4);
        let mut coming = request.into_inner();
        tower_task_tracker::named("orders").spawn(async move {
            while let Ok(Some(order)) = coming.message().await {
                carry_out(order, &steps).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

async fn carry_out(order: Order, steps: &mpsc::Sender<Result<Step, Status>>) {
    for done in ["taken", "packed", "sent"] {
        let text = format!("{}: {done}", in_words(&order));
        // A client that has left does not stop the order.
        let _ = steps.send(Ok(Step { text })).await;
        sleep(Duration::from_millis(100)).await;
    }
    finish(order);
}

/// Spawns the audit and the mail. If the audit fails, the call fails: in its head if nothing has been sent yet, and
/// otherwise in its trailers. The call ends after the mail, but does not fail with it.
fn finish(order: Order) {
    let audit = audit(order.clone());
    tower_task_tracker::named("audit").required().spawn(audit);
    if order.quantity > 0 {
        tower_task_tracker::named("mail").spawn(mail(order));
    }
}

/// Audits an order. The audit of gold fails.
async fn audit(order: Order) -> Result<(), &'static str> {
    sleep(Duration::from_millis(400)).await;
    if order.item == "gold" {
        return Err("the book is locked");
    }
    println!("audited: {}", in_words(&order));
    Ok(())
}

async fn mail(order: Order) {
    sleep(Duration::from_secs(1)).await;
    println!("mailed: {}", in_words(&order));
}

fn receipt(orders: &[Order]) -> Receipt {
    let orders: Vec<String> = orders.iter().map(in_words).collect();
    Receipt {
        text: orders.join(", "),
    }
}

fn in_words(order: &Order) -> String {
    format!("{} x {}", order.quantity, order.item)
}
