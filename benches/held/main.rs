//! Ten thousand responses are held at once, for a task of 100 ms each: how late are they, and how much memory do they
//! keep?
//!
//! ```sh
//! cargo bench --bench held
//! ```
//!
//! A request is a call of the service in a task of its own, as in a server. The memory is what the allocator hands out,
//! so that it is the same on every machine.
//!
//! With `-- --figures` the program prints two numbers alone: the bytes that a request keeps in addition to its task,
//! with the layer and by hand. The bench `budget` reads them.

#[path = "../common/goal.rs"]
mod goal;
mod lateness;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
mod memory;
mod request;
#[path = "../common/spread.rs"]
mod spread;

use std::alloc::System;
use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use markdown::Table;
use request::Way;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type BoxError = Box<dyn Error + Send + Sync>;

/// The number of requests at once.
const REQUESTS: u32 = 10_000;

/// The most that the ratio of the layer's p50 to the p50 by hand may be.
const LATENESS_GOAL: f64 = 1.5;

/// The most bytes that a held request may keep in addition to a request by hand.
const MEMORY_GOAL: f64 = 600.0;

#[derive(Debug, Parser)]
struct Args {
    /// Prints only the bytes kept, with the layer and by hand: for other programs.
    #[arg(long)]
    figures: bool,
    /// Passed by cargo to each bench.
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

fn main() -> Result<ExitCode, BoxError> {
    if Args::parse().figures {
        return figures();
    }
    println!("{}\n", machine::headline(&[])?);
    lateness()?;
    memory()
}

fn lateness() -> Result<(), BoxError> {
    let mut table = Table::new(["ms beyond the task's 100", "p50", "p99", "latest"]);
    let ways = lateness::measure()?;
    for (way, [p50, p99, latest]) in &ways {
        table.row([
            way.name().to_owned(),
            format!("{p50:.1}"),
            format!("{p99:.1}"),
            format!("{latest:.1}"),
        ]);
    }
    println!("{table}");
    let median = |wanted| {
        let found = ways.iter().find(|(way, _)| *way == wanted);
        found.expect("it was measured").1[0].median
    };
    let ratio = median(Way::Layer) / median(Way::ByHand);
    let what = "p50 of `TaskTrackerLayer` to by hand";
    // A time does not decide the exit code.
    let _ = goal::at_most(LATENESS_GOAL, ratio, what);
    println!();
    Ok(())
}

fn figures() -> Result<ExitCode, BoxError> {
    let task = memory::of_a_task()?;
    for way in [Way::Layer, Way::ByHand] {
        println!("{}", memory::of_a_request(way)? - task);
    }
    Ok(ExitCode::SUCCESS)
}

fn memory() -> Result<ExitCode, BoxError> {
    let task = memory::of_a_task()?;
    let mut table = Table::new(["bytes kept", "in all", "beyond the task"]);
    table.row([
        "the task alone".to_owned(),
        format!("{task:.0}"),
        String::new(),
    ]);
    let mut kept = |way: Way| -> Result<f64, BoxError> {
        let bytes = memory::of_a_request(way)?;
        table.row([
            way.name().to_owned(),
            format!("{bytes:.0}"),
            format!("{:.0}", bytes - task),
        ]);
        Ok(bytes)
    };
    let by_hand = kept(Way::ByHand)?;
    let more = kept(Way::Layer)? - by_hand;
    println!("{table}");
    let what = "bytes that `TaskTrackerLayer` keeps more than by hand";
    Ok(goal::at_most(MEMORY_GOAL, more, what))
}
