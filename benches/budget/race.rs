//! Contenders in turns.
//!
//! A machine that others use is slower at times, and never faster: the best turn of a contender counts.
//! Turns are short, so that some of them are not disturbed.

use std::thread;

use tokio::runtime::Builder;

use crate::contender::Contender;
use crate::place::{self, Place};

/// How often a figure is read.
pub(crate) const READINGS: usize = 5;

/// Of one reading, each a page away from the last.
const PASSES: usize = 16;

/// Turns of each contender at one place in one pass.
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

/// At each place, and of that the mean: a single best turn is too good at times.
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

/// At each place.
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

    /// With services, a runtime and a thread that are new, so that their memory is not the last ones'.
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
            // Each comes first and last, and after each of its neighbours.
            order.reverse();
            order.rotate_left(1);
        }
        best
    }
}
