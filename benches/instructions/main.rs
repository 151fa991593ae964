//! The binding rows of the cost budget: instructions of a request, counted by callgrind.
//!
//! ```sh
//! cargo bench --bench instructions                                # all rows
//! cargo bench --bench instructions -- --only empty-1 --only idle
//! cargo bench --bench instructions -- --profile ours-1 /tmp/out   # for callgrind_annotate
//! ```
//!
//! `cargo bench --bench budget -- --instructions` starts this program, too. It prints a table, and exits with 1 if a
//! row is more than 2 % above its bound.
//!
//! The program starts itself under callgrind twice, with few requests and with many. The difference is the cost of the
//! requests. Everything that could change the figures from run to run is constant:
//!
//! * The heap: the allocator takes the same number of instructions for each block, whatever is allocated already.
//! * The stack: requests run on a thread of their own, whose stack depends neither on the environment nor on the
//!   arguments of the program. The program starts without an environment except for `PATH`, by a relative path.

#[path = "../common/callgrind.rs"]
mod callgrind;
#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/contender.rs"]
mod contender;
#[path = "../common/contenders.rs"]
mod contenders;
mod count;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
mod named;
mod reported;
mod row;
#[path = "../common/tool.rs"]
mod tool;
mod waiting;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use count::Count;
use markdown::Table;
use row::Row;
use tower_task_tracker_constant_alloc::ConstantAlloc;

#[global_allocator]
static ALLOCATOR: ConstantAlloc = ConstantAlloc;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    child: Option<Child>,
    /// Measures this row alone. May be repeated.
    #[arg(long, value_name = "ROW", value_parser = PossibleValuesParser::new(row::ALL.map(|row| row.id)))]
    only: Vec<String>,
    /// Writes a profile of one contender for `callgrind_annotate`, instead of the table. The path of a file is
    /// relative to `benches/`.
    #[arg(long, num_args = 2, value_names = ["CONTENDER", "FILE"])]
    profile: Option<Vec<String>>,
    /// Passed by cargo to each bench.
    #[arg(long = "bench", global = true, hide = true)]
    _bench: bool,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// Serves some requests and ends. The parent runs this under valgrind.
    Serve {
        #[arg(value_parser = PossibleValuesParser::new(named::names()))]
        contender: String,
        requests: u64,
    },
}

fn main() -> Result<ExitCode, BoxError> {
    let args = Args::parse();
    if let Some(Child::Serve {
        contender,
        requests,
    }) = args.child
    {
        return named::serve(&contender, requests).map(|()| ExitCode::SUCCESS);
    }
    tool::ensure("valgrind")?;
    match args.profile.as_deref() {
        Some([contender, file]) => profile(contender, Path::new(file)),
        _ => measure(&args.only),
    }
}

fn profile(contender: &str, file: &Path) -> Result<ExitCode, BoxError> {
    let contender = named::find(contender)?;
    let file = std::path::absolute(file)?;
    let requests = count::profile(contender, &file)?;
    println!(
        "{requests} requests of {contender}: callgrind_annotate {}",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn measure(only: &[String]) -> Result<ExitCode, BoxError> {
    let valgrind = machine::first_line(Command::new("valgrind").arg("--version"))?;
    println!("{}\n", machine::headline(&[valgrind])?);
    let wanted = |row: &&Row| only.is_empty() || only.iter().any(|id| id == row.id);
    let rows = Vec::from_iter(row::ALL.iter().filter(wanted));
    let count = Count::of(
        rows.iter()
            .flat_map(|row| row.contenders())
            .chain(["bare", "clock"]),
    )?;
    let mut table = Table::new(Row::TITLES);
    for row in &rows {
        table.row(row.cells(&count));
    }
    println!("{table}");
    let clock = count.get("clock") - count.get("bare");
    println!("A clock read takes {clock:.0} instructions, and a system call under valgrind.");
    Ok(if rows.iter().any(|row| row.is_missed(&count)) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
