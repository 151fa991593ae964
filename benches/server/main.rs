//! Counts the instructions of a request to a whole axum server, with each of several layers.
//!
//! ```sh
//! cargo bench --bench server
//! ```
//!
//! hyper serves one connection in memory, on a current-thread runtime. The one client keeps the connection alive and
//! sends a request when it has the answer to the previous one. The program starts itself under valgrind twice, with few
//! requests and with many: the difference is the cost of the requests, without the start of the process. The
//! instructions of the kernel are not counted.
//!
//! To see which functions take the instructions, run the executable of the bench as the program does:
//!
//! ```sh
//! valgrind --tool=callgrind --callgrind-out-file=out target/release/deps/server-<hash> serve 6000 task-tracker
//! callgrind_annotate out
//! ```

#[path = "../common/app.rs"]
mod app;
#[path = "../common/callgrind.rs"]
mod callgrind;
#[path = "../common/goal.rs"]
mod goal;
#[path = "../common/in_memory.rs"]
mod in_memory;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
#[path = "../common/tool.rs"]
mod tool;

use std::error::Error;
use std::process::{Command, ExitCode};

use app::App;
use clap::Parser;
use in_memory::{Child, instructions_a_request};
use markdown::Table;

type BoxError = Box<dyn Error + Send + Sync>;

/// The most that the ratio of `TaskTrackerLayer` to `AddExtensionLayer` may be.
const GOAL: f64 = 1.08;

const APPS: [App; 5] = [
    App::Bare,
    App::AddExtension,
    App::InFlightRequests,
    App::TaskTracker,
    App::OneTask,
];

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    child: Option<Child>,
    /// Passed by cargo to each bench.
    #[arg(long = "bench", global = true, hide = true)]
    _bench: bool,
}

fn main() -> Result<ExitCode, BoxError> {
    match Args::parse().child {
        Some(child) => in_memory::serve(child).map(|()| ExitCode::SUCCESS),
        None => measure(),
    }
}

fn measure() -> Result<ExitCode, BoxError> {
    tool::ensure("valgrind")?;
    let valgrind = machine::first_line(Command::new("valgrind").arg("--version"))?;
    println!("{}\n", machine::headline(&[valgrind])?);
    let client = instructions_a_request(None)?;
    let mut costs = Vec::new();
    for app in APPS {
        costs.push((app, instructions_a_request(Some(app))?));
    }
    let cost = |wanted| {
        let found = costs.iter().find(|(app, _)| *app == wanted);
        found.expect("it was measured").1
    };
    let floor = cost(App::AddExtension);

    let mut table = Table::new([
        "server",
        "instructions a request",
        "more than bare",
        "of `AddExtensionLayer`",
    ]);
    table.row([
        "none: the client alone, with a constant answer".to_owned(),
        format!("{client:.0}"),
        String::new(),
        String::new(),
    ]);
    for (app, instructions) in &costs {
        table.row([
            app.name().to_owned(),
            format!("{instructions:.0}"),
            format!("{:.0}", instructions - cost(App::Bare)),
            format!("{:.3}", instructions / floor),
        ]);
    }
    println!("{table}");
    let ratio = cost(App::TaskTracker) / floor;
    let what = "`TaskTrackerLayer` to `AddExtensionLayer`";
    Ok(goal::at_most(GOAL, ratio, what))
}
