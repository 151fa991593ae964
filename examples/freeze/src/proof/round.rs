//! The rounds, from a new instance to the records that it leaves.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::Client;
use super::instance::Instance;
use super::order::Order;
use super::tally::Tally;
use super::{BoxError, Protocol, Setup};

/// The number of orders of a round. All of them are placed at once.
const ORDERS: u32 = 50;

/// The limit for a round that hangs. A round takes a fraction of a second.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs all rounds and returns their sums.
pub(super) async fn tally(
    protocol: Protocol,
    setup: Setup,
    rounds: u32,
    after_round: &dyn Fn(),
) -> Result<Tally, BoxError> {
    let mut tally = Tally::new(protocol, setup);
    for round in 0..rounds {
        timeout(LIMIT, freeze(&mut tally, round))
            .await
            .map_err(|_| format!("a round took longer than {LIMIT:?}: {tally}"))??;
        after_round();
    }
    Ok(tally)
}

async fn freeze(tally: &mut Tally, round: u32) -> Result<(), BoxError> {
    let records = tempfile::tempdir()?;
    let instance = Instance::start(records.path(), tally.setup).await?;
    // All orders of a round have the same kind of answer, even or odd. With both kinds, the stop would come late for
    // one of them.
    let orders: Vec<_> = (0..ORDERS).map(|n| Order(2 * n + round % 2)).collect();
    let clients = Client::connect(tally.protocol, instance.address(), orders.len()).await?;

    let mut placed = JoinSet::new();
    for (client, &order) in clients.into_iter().zip(&orders) {
        placed.spawn(async move { client.place(order).await.map(|latency| (order, latency)) });
    }
    while let Some(acknowledged) = placed.join_next().await {
        let (order, latency) = acknowledged??;
        if placed.is_empty() {
            instance.stop()?;
        }
        tally.latencies.push(latency);
        // Until the last answer the instance is not stopped. So only this check detects an answer whose work ends a
        // little later, but within the round.
        tally.early += usize::from(!order.is_kept(records.path()));
    }
    instance.stopped().await?;
    instance.kill()?;

    let lost = orders.iter().filter(|order| !order.is_kept(records.path()));
    tally.lost += lost.count();
    Ok(())
}
