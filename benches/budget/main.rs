//! The budget of a held response, measured: what it costs beside what a user would write otherwise.
//!
//! `cargo bench --bench budget` prints a table and exits with 1 where a goal is missed by more than the
//! spread of what was measured. All contenders of a row run in turns, round after round, and the best
//! round of each counts: a machine that others use is slower at times, and never faster.

mod contenders;
mod measure;
mod rows;

use std::process::ExitCode;

fn main() -> ExitCode {
    let rows = rows::all();
    println!("| work | ours | compared with | theirs | ratio | goal | |");
    println!("|---|---|---|---|---|---|---|");
    let mut missed = false;
    for row in rows {
        let result = row.measure();
        println!("{result}");
        missed |= result.is_missed();
    }
    if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
