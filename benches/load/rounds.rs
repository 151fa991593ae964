//! Measures the servers one after another, round after round.

use crate::BoxError;
use crate::app::App;
use crate::instance::Instance;
use crate::markdown::Table;
use crate::spread::Spread;
use crate::wrk::{Figures, Load};

/// All apps. The others are compared with the first one.
const APPS: [App; 4] = [
    App::Bare,
    App::AddExtension,
    App::InFlightRequests,
    App::TaskTracker,
];

/// The rounds of each app.
pub(crate) struct Rounds([(App, Vec<Round>); APPS.len()]);

struct Round {
    figures: Figures,
    /// The processor time of the server for one request, in microseconds.
    processor: f64,
}

impl Rounds {
    pub(crate) fn run(rounds: u32, load: &Load) -> Result<Self, BoxError> {
        let mut measured = APPS.map(|app| (app, Vec::new()));
        for number in 1..=rounds {
            // Each round starts with another server, so that other work of the machine affects all of them alike.
            measured.rotate_left(1);
            for (app, rounds) in &mut measured {
                eprintln!("round {number}: {}", app.name());
                rounds.push(Round::run(*app, load)?);
            }
        }
        measured.sort_by_key(|(app, _)| APPS.iter().position(|other| other == app));
        Ok(Self(measured))
    }

    /// Returns the table of the medians, with the least and the most of the rounds.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new([
            "server",
            "requests a second",
            "p50, µs",
            "p99, µs",
            "p99.9, µs",
            "processor, µs a request",
            "of bare",
        ]);
        let Self(measured) = self;
        let (_, bare) = &measured[0];
        for (app, rounds) in measured {
            let of = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
            // Compares each round with the bare server's round of the same number, which is close in time.
            let pairs = rounds.iter().zip(bare);
            let ratios = pairs.map(|(round, bare)| round.processor / bare.processor);
            table.row([
                app.name().to_owned(),
                format!("{:.0}", of(|r| r.figures.requests / r.figures.seconds)),
                format!("{:.0}", of(|r| r.figures.latencies[0])),
                format!("{:.0}", of(|r| r.figures.latencies[1])),
                format!("{:.0}", of(|r| r.figures.latencies[2])),
                format!("{:.2}", of(|r| r.processor)),
                format!("{:.3}", Spread::of(ratios)),
            ]);
        }
        table
    }
}

impl Round {
    fn run(app: App, load: &Load) -> Result<Self, BoxError> {
        // A new process each time: its speed depends a little on where its memory is.
        let server = Instance::start(app)?;
        load.for_a_second().put_on(&server.url())?;
        let before = server.time_on_processor()?;
        let figures = load.put_on(&server.url())?;
        let spent = server.time_on_processor()? - before;
        Ok(Self {
            figures,
            processor: spent.as_secs_f64() * 1e6 / figures.requests,
        })
    }
}
