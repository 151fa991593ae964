//! A server on the loopback under load, with one of several layers.
//!
//! ```sh
//! cargo bench --bench load
//! cargo bench --bench load -- --rounds 9 --seconds 5
//! ```
//!
//! `axum::serve` runs in a process of its own and wrk is its client. Each uses half of the cores. Every connection
//! sends a request when it has the answer to the previous one. So the server is always busy, and a latency is mostly
//! the time in which it answers the other connections.

#[path = "../common/app.rs"]
mod app;
mod instance;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
mod rounds;
mod served;
#[path = "../common/spread.rs"]
mod spread;
#[path = "../common/tool.rs"]
mod tool;
mod wrk;

use std::error::Error;
use std::process::Command;

use app::App;
use clap::Parser;
use rounds::Rounds;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    /// Serves this app until the end of stdin. The parent puts it under load.
    #[arg(long, value_name = "APP")]
    serve: Option<App>,
    /// The number of measurements of each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a server is under load in one round.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// The number of connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Passed by cargo to each bench.
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    let share = machine::cores()?.div_ceil(2);
    if let Some(app) = args.serve {
        return served::serve(app, share);
    }
    tool::ensure("wrk")?;
    let load = wrk::Load {
        threads: share,
        connections: args.connections.max(share),
        seconds: args.seconds,
    };
    let wrk = machine::first_line(Command::new("wrk").arg("--version"))?;
    let wrk = wrk.split(" [").next().unwrap_or_default().to_owned();
    let plan = format!("{} rounds, {load}", args.rounds);
    println!("{}\n", machine::headline(&[wrk, plan])?);
    println!("{}", Rounds::run(args.rounds, &load)?.table());
    Ok(())
}
