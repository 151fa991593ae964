//! Runs contenders in turns.
//!
//! Other programs can make the machine slower, but never faster: so the best turn of a contender counts. Turns are
//! short, so that some of them are not disturbed.

use std::thread;

use tokio::runtime::Builder;

use crate::contender::Contender;
use crate::place::{self, Place};

/// The number of readings of a figure.
pub(crate) const READINGS: usize = 5;

/// The number of passes of one reading. Each is a page away from the previous one.
const PASSES: usize = 16;

/// The number of turns of each contender, at one place in one pass.
const ROUNDS: usize = 8;

/// A set of contenders that are compared.
pub(crate) struct Race {
    contenders: Box<dyn Fn() -> Vec<Contender> + Sync>,
    /// The number of requests in one turn, chosen so that a turn takes about half a millisecond.
    requests: u64,
}

/// The time of one request of each contender, in nanoseconds, in the contenders' order.
pub(crate) type Times = Vec<f64>;

/// Runs several races. All readings of all races take turns, so that each reading has its share of quiet times.
pub(crate) fn run<const N: usize>(races: [Race; N]) -> [[Times; READINGS]; N] {
    let mut passes = races.map(|race| (race, [const { Vec::new() }; READINGS]));
    for pass in 0..PASSES {
        for reading in 0..READINGS {
            for (race, readings) in &mut passes {
                readings[reading].push(race.pass(pass));
            }
        }
    }
    passes.map(|(_, readings)| readings.map(|passes| best(&passes)))
}

/// Returns the mean over all places of the best turn at each place. A single best turn is too good at times.
fn best(passes: &[Pass]) -> Times {
    let at = |place: usize, which: usize| {
        let times = passes.iter().map(|pass| pass[place][which]);
        times.fold(f64::INFINITY, f64::min)
    };
    let mean = |which| {
        let places = 0..place::ALL.len();
        let sum: f64 = places.map(|place| at(place, which)).sum();
        sum / place::ALL.len() as f64
    };
    Vec::from_iter((0..passes[0][0].len()).map(mean))
}

/// The times at each place.
type Pass = [Times; place::ALL.len()];

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

    /// Visits each place once.
    fn pass(&self, pages: usize) -> Pass {
        place::ALL.map(|place| self.visit(place, pages))
    }

    /// Takes the turns at one place. Services, runtime and thread are new, so that they do not share memory with the
    /// previous ones.
    fn visit(&self, place: Place, pages: usize) -> Times {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut times = Times::new();
                place.visit(pages, &mut || times = self.turns());
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
            // Each contender comes first once and last once, and after each of its neighbours.
            order.reverse();
            order.rotate_left(1);
        }
        best
    }
}
