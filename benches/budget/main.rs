//! The cost budget, measured: what a request costs beside what a user would write otherwise.
//!
//! ```sh
//! cargo bench --bench budget
//! ```
//!
//! It prints a table in less than a minute, and exits with 1 where a goal is missed by more than the
//! spread of what was measured. A figure is the mean of some readings, which take turns, and `±` is how far
//! the least of them is from the most: another run hardly ever differs by as much. (A standard error is
//! less than runs differ by: what slows the machine for a while slows all readings.)

#[path = "../common/app.rs"]
mod app;
#[path = "../common/callgrind.rs"]
mod callgrind;
#[path = "../common/contender.rs"]
mod contender;
#[path = "../common/contenders.rs"]
mod contenders;
#[path = "../common/in_memory.rs"]
mod in_memory;
mod kept;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
mod place;
mod race;
mod row;
mod server;
mod times;
#[path = "../common/tool.rs"]
mod tool;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use in_memory::Asked;
use markdown::Table;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    /// What the program asks of itself, under valgrind.
    #[command(subcommand)]
    asked: Option<Asked>,
    /// What cargo gives to each bench.
    #[arg(long = "bench", global = true, hide = true)]
    _bench: bool,
}

fn main() -> Result<ExitCode, BoxError> {
    match Args::parse().asked {
        Some(asked) => in_memory::serve(asked).map(|()| ExitCode::SUCCESS),
        None => measure(),
    }
}

fn measure() -> Result<ExitCode, BoxError> {
    println!("{}\n", machine::headline(&[])?);
    let mut rows = times::rows();
    rows.push(server::row()?);
    rows.push(kept::row()?);
    let mut table = Table::new([
        "work",
        "ours",
        "compared with",
        "theirs",
        "ours to theirs",
        "goal",
        "",
    ]);
    for row in &rows {
        table.row(row.cells());
    }
    print!("{table}");
    Ok(if rows.iter().any(row::Row::is_missed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
