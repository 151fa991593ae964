//! Shows what is lost if a platform freezes an instance when its response ends: with the layer and without it. And what
//! is lost of work that takes longer than the drain timeout: with a hand-off into a file and without one.
//!
//! ```sh
//! cargo run -p freeze
//! ```
//!
//! The exit code is 0 if the servers with the layer, and with the hand-off, lost nothing, and their controls lost most of
//! their work.

use std::error::Error;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

mod proof;

use proof::{Proof, Protocol, Tally, Work};

/// The number of rounds, of 50 orders each. A tally needs at least 500 orders.
const ROUNDS: u32 = 12;

fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    // This executable also serves as the instance that is frozen.
    if let Some(served) = proof::serve_if_asked() {
        return Ok(served);
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} instances frozen")?;
    let bar = ProgressBar::new(8 * u64::from(ROUNDS)).with_style(style);
    let mut proofs = Vec::new();
    for work in [Work::InTime, Work::Late] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            bar.set_message(protocol.name());
            proofs.push(Proof::run(protocol, work, ROUNDS, &|| bar.inc(1))?);
        }
    }
    bar.finish_and_clear();

    println!("                        acknowledged   lost   median latency");
    for tally in proofs
        .iter()
        .flat_map(|proof| [&proof.layer, &proof.control])
    {
        println!("{}", row(tally));
    }
    let mut code = ExitCode::SUCCESS;
    for refuted in proofs.iter().filter_map(|proof| proof.verdict().err()) {
        eprintln!("{refuted}");
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

fn row(tally: &Tally) -> String {
    format!(
        "{:<21}   {:>12}   {:>4}   {:>11.1} ms",
        tally.name(),
        tally.acknowledged(),
        tally.lost,
        tally.median_latency().as_secs_f64() * 1000.0,
    )
}
