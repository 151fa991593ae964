//! The row of what is kept in memory.
//!
//! An allocator that counts would be counted in all other rows. So it is another program that measures.

use std::process::Stdio;

use crate::BoxError;
use crate::other::bench;
use crate::row::{Goal, Reading, Row};

pub(crate) fn row() -> Result<Row, BoxError> {
    // Bytes are the same in each run, and one reading is enough.
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
    let said = String::from_utf8(output.stdout)?;
    let figures = said.split_whitespace().map(str::parse);
    match figures.collect::<Result<Vec<f64>, _>>()?[..] {
        [ours, theirs] if output.status.success() => Ok(Reading { ours, theirs }),
        _ => Err(format!("cargo bench --bench held: {}\n{said}", output.status).into()),
    }
}
