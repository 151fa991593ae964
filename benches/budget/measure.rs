//! Rounds of all contenders in turns.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::contenders::Contender;

/// How long one contender runs in one round.
const TURN: Duration = Duration::from_millis(20);

const ROUNDS: usize = 30;

/// Where contenders run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
}

impl Flavor {
    fn runtime(self) -> Runtime {
        let mut builder = match self {
            Flavor::CurrentThread => Builder::new_current_thread(),
            Flavor::MultiThread => Builder::new_multi_thread(),
        };
        builder.enable_time().build().expect("a runtime")
    }
}

/// What one contender's request takes, in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    sorted: Vec<f64>,
}

impl Times {
    pub(crate) fn best(&self) -> f64 {
        self.sorted[0]
    }

    /// How far the best rounds are from each other: what another run may see.
    pub(crate) fn spread(&self) -> f64 {
        self.sorted[self.sorted.len() / 4] - self.sorted[0]
    }
}

/// Measures contenders in turns, in their order.
pub(crate) fn measure<const N: usize>(flavor: Flavor, contenders: [Contender; N]) -> [Times; N] {
    let runtime = flavor.runtime();
    let batches = contenders.map(|contender| {
        // As many requests as fit in a turn, after one turn of warming up.
        let mut requests = 16_u32;
        loop {
            let took = runtime.block_on(contender.run(requests));
            if took >= TURN / 2 {
                return (contender, requests, Vec::with_capacity(ROUNDS));
            }
            requests *= 2;
        }
    });
    let mut batches = batches;
    for _ in 0..ROUNDS {
        for (contender, requests, times) in &mut batches {
            let took = runtime.block_on(contender.run(*requests));
            times.push(took.as_nanos() as f64 / f64::from(*requests));
        }
    }
    batches.map(|(_, _, mut sorted)| {
        sorted.sort_by(f64::total_cmp);
        Times { sorted }
    })
}

/// Runs requests one after the other in a task: waking the root of `block_on` costs more than what is
/// measured.
pub(crate) async fn in_a_task<F>(requests: F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let timed = tokio::spawn(async {
        let start = Instant::now();
        requests.await;
        start.elapsed()
    });
    timed.await.expect("no request panics")
}
