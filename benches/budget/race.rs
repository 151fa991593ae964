//! Contenders in turns.
//!
//! A machine that others use is slower at times, and never faster: the best turn of a contender counts.
//! Turns are short, so that some of them are not disturbed.

use std::thread;

use tokio::runtime::Builder;

use crate::contender::Contender;
use crate::place;

/// How often a figure is read.
pub(crate) const READINGS: usize = 5;

/// Of one reading, each at another place.
const PASSES: usize = 64;

/// Turns of each contender in one pass.
const ROUNDS: usize = 8;

/// Contenders that are compared.
pub(crate) struct Race {
    contenders: Box<dyn Fn() -> Vec<Contender> + Sync>,
    /// In one turn, so that it takes about half a millisecond.
    requests: u64,
}

/// What a request of each contender takes, in nanoseconds, in the contenders' order.
pub(crate) type Times = Vec<f64>;

/// Runs some races. All readings of all of them take turns, so that each has its share of quiet times.
pub(crate) fn run<const N: usize>(races: [Race; N]) -> [[Times; READINGS]; N] {
    let mut races = races.map(|race| (race, [const { Vec::new() }; READINGS]));
    for pass in 0..PASSES {
        for reading in 0..READINGS {
            for (race, best) in &mut races {
                keep_the_best(&mut best[reading], race.pass(pass));
            }
        }
    }
    races.map(|(_, best)| best)
}

fn keep_the_best(best: &mut Times, times: Times) {
    if best.is_empty() {
        *best = times;
    } else {
        for (best, time) in best.iter_mut().zip(times) {
            *best = best.min(time);
        }
    }
}

impl Race {
    pub(crate) fn new(
        requests: u64,
        contenders: impl Fn() -> Vec<Contender> + Sync + 'static,
    ) -> Self {
        Self {
            contenders: Box::new(contenders),
            requests,
        }
    }

    /// With services, a runtime and a thread that are new, and at a place of their own.
    fn pass(&self, number: usize) -> Times {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut times = Times::new();
                place::visit(number, &mut || times = self.turns());
                times
            });
            thread.join().expect("no contender panics")
        })
    }

    fn turns(&self) -> Times {
        let contenders = (self.contenders)();
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let mut best = vec![f64::INFINITY; contenders.len()];
        let mut order = Vec::from_iter(0..contenders.len());
        for _ in 0..ROUNDS {
            for &which in &order {
                let took = runtime.block_on(contenders[which].run(self.requests));
                let request = took.as_secs_f64() * 1e9 / self.requests as f64;
                best[which] = best[which].min(request);
            }
            // Each comes first and last, and after each of its neighbours.
            order.reverse();
            order.rotate_left(1);
        }
        best
    }
}
