//! Measures how long after its task a response comes.

use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::request::{TASK, Way};
use crate::spread::Spread;
use crate::{BoxError, REQUESTS};

const ROUNDS: usize = 11;

/// The median, p99 and maximum over the requests of one round, in milliseconds.
type Lateness = [f64; 3];

/// Returns each way with the spread of its rounds.
pub(crate) fn measure() -> Result<Vec<(Way, [Spread; 3])>, BoxError> {
    let ways = [Way::NoTask, Way::ByHand, Way::Layer];
    let mut rounds = ways.map(|way| (way, Vec::with_capacity(ROUNDS)));
    // Each round measures every way, so that other work of the machine affects all of them alike.
    for _ in 0..ROUNDS {
        for (way, rounds) in &mut rounds {
            rounds.push(round(*way)?);
        }
    }
    let spread = |rounds: &[Lateness], which: usize| Spread::of(rounds.iter().map(|r| r[which]));
    let measured = rounds.map(|(way, r)| (way, [0, 1, 2].map(|which| spread(&r, which))));
    Ok(measured.into())
}

fn round(way: Way) -> Result<Lateness, BoxError> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let times = runtime.block_on(async {
        let start = way.starter();
        let requests = Vec::from_iter((0..REQUESTS).map(|_| start()));
        let mut times = Vec::with_capacity(requests.len());
        for request in requests {
            times.push(request.await?);
        }
        Ok::<_, BoxError>(times)
    })?;
    let last_start = times.iter().map(|(start, _)| start).max();
    if times.iter().any(|(_, end)| Some(end) <= last_start) {
        return Err("not all were held at once: one has ended before the last one started".into());
    }
    let mut late = Vec::from_iter(times.into_iter().map(beyond_the_task));
    late.sort_unstable();
    let at = |percent: usize| late[(late.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok([at(50), at(99), at(100)])
}

fn beyond_the_task((start, end): (Instant, Instant)) -> Duration {
    let taken = end - start;
    taken
        .checked_sub(TASK)
        .expect("a response does not come before its task's end")
}
