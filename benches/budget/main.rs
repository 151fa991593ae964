//! Measures the cost budget: what a request costs, compared with what a user would write instead.
//!
//! ```sh
//! cargo bench --bench budget                    # the goals
//! cargo bench --bench budget -- --instructions  # the binding rows
//! ```
//!
//! With `--instructions`, the program starts the bench `instructions` and passes it the arguments that follow.
//!
//! Without it, the program prints a table of the goals, in less than a minute. It exits with 1 if a goal is missed by
//! more than the spread of the readings. A figure is the mean of several readings that take turns, and `±` is the
//! distance from the least reading to the most. Another run hardly ever differs by as much. (A standard error would be
//! less than the difference between runs, because a slow period of the machine slows all readings.)

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
use in_memory::Child;
use markdown::Table;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    /// What the program runs as a child under valgrind.
    #[command(subcommand)]
    child: Option<Child>,
    /// Measures the binding rows alone: runs the bench `instructions` with the arguments that follow.
    #[arg(long, value_name = "ARGUMENT", num_args = 0.., allow_hyphen_values = true)]
    instructions: Option<Vec<String>>,
    /// Passed by cargo to each bench.
    #[arg(long = "bench", global = true, hide = true)]
    _bench: bool,
}

fn main() -> Result<ExitCode, BoxError> {
    let args = Args::parse();
    if let Some(child) = args.child {
        return in_memory::serve(child).map(|()| ExitCode::SUCCESS);
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
