//! The cost budget, measured: what a request costs beside what a user would write otherwise.
//!
//! ```sh
//! cargo bench --bench budget                    # the goals
//! cargo bench --bench budget -- --instructions  # the binding rows
//! ```
//!
//! The binding rows are the bench `instructions`, which takes the arguments that follow. For the goals it prints a table in less than a minute, and exits with 1 where a goal is missed by more than the
//! spread of what was measured. A figure is the mean of some readings, which take turns, and `±` is how far
//! the least of them is from the most: another run hardly ever differs by as much. (A standard error is
//! less than runs differ by: what slows the machine for a while slows all readings.)

#[path = "../common/app.rs"]
mod app;
#[path = "../common/callgrind.rs"]
mod callgrind;
#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/contender.rs"]
mod contender;
#[path = "../common/contenders.rs"]
mod contenders;
#[path = "../common/frames.rs"]
mod frames;
#[path = "../common/in_memory.rs"]
mod in_memory;
mod instructions;
mod kept;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
mod other;
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
    /// Measures the binding rows alone, which are the bench `instructions`. What follows are its arguments.
    #[arg(long, value_name = "ARGUMENT", num_args = 0.., allow_hyphen_values = true)]
    instructions: Option<Vec<String>>,
    /// What cargo gives to each bench.
    #[arg(long = "bench", global = true, hide = true)]
    _bench: bool,
}

fn main() -> Result<ExitCode, BoxError> {
    let args = Args::parse();
    if let Some(asked) = args.asked {
        return in_memory::serve(asked).map(|()| ExitCode::SUCCESS);
    }
    match args.instructions {
        Some(arguments) => instructions::measure(&arguments),
        None => measure(),
    }
}

fn measure() -> Result<ExitCode, BoxError> {
    println!("{}\n", machine::headline(&[])?);
    let times::Measured { mut rows, clock } = times::measure();
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
    println!("{table}");
    println!("A clock read takes {clock:.0} ns.");
    Ok(if rows.iter().any(row::Row::is_missed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
