//! Ten thousand responses held at once, with a task of 100 ms each: how late are they, and what do
//! they keep in memory?
//!
//! ```sh
//! cargo bench --bench held
//! ```
//!
//! The requests are calls of a service, each in a task of its own as with a server. The memory is
//! what the allocator is asked for, so that it is the same on every machine.
//!
//! With `-- --figures` it prints two numbers alone: the bytes that are kept beyond the task, with the
//! layer and by hand. The bench `budget` reads them.

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

/// How many there are at once.
const REQUESTS: u32 = 10_000;

/// Of the layer's p50 to that by hand.
const LATENESS_GOAL: f64 = 1.5;

/// Bytes that a held request may keep more than one by hand.
const MEMORY_GOAL: f64 = 600.0;

#[derive(Debug, Parser)]
struct Args {
    /// For other programs: the bytes kept, with the layer and by hand, and nothing else.
    #[arg(long)]
    figures: bool,
    /// What cargo gives to each bench.
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
    // It is a time, and does not decide the exit code.
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
