//! The row of the memory that a held request keeps.
//!
//! An allocator that counts would change all other rows. So another program measures this row.

use std::process::Stdio;

use crate::BoxError;
use crate::other::bench;
use crate::row::{Goal, Reading, Row};

pub(crate) fn row() -> Result<Row, BoxError> {
    // The bytes are the same in each run: one reading is enough.
    let readings = vec![of_the_bench_held()?];
    Ok(Row {
        work: "a request held for one task",
        unit: "bytes",
        with: "`TaskTracker` + timeout",
        readings,
        goal: Goal::More(600.0),
    })
}

fn of_the_bench_held() -> Result<Reading, BoxError> {
    let output = bench("held")
        .arg("--figures")
        .stderr(Stdio::inherit())
        .output()?;
    let printed = String::from_utf8(output.stdout)?;
    let figures = printed.split_whitespace().map(str::parse);
    match figures.collect::<Result<Vec<f64>, _>>()?[..] {
        [ours, theirs] if output.status.success() => Ok(Reading { ours, theirs }),
        _ => Err(format!("cargo bench --bench held: {}\n{printed}", output.status).into()),
    }
}
